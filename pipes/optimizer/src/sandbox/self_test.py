# Prints "isolated", or what is possible and must not be.
import os
import socket
import subprocess
import threading


def refused(action):
    try:
        action()
    except (OSError, RuntimeError, MemoryError):
        return True
    return False


known = {"LC_CTYPE", "OPENBLAS_NUM_THREADS", "PWD"}
barriers = {
    "sockets": refused(socket.socket),
    "processes": refused(os.fork) and refused(lambda: subprocess.run(["true"])),
    "other programs": refused(lambda: os.execv("/usr/bin/env", ["env"])),
    "threads": refused(lambda: threading.Thread(target=int).start()),
    "signals": refused(lambda: os.kill(1, 0)),
    "files of the system": all(refused(lambda: os.stat(path)) for path in ("/etc", "/home", "/proc", "/root", "/var")),
    "written files": all(refused(lambda: open(path, "w")) for path in ("/x", "/tmp/x", "/dev/shm/x", "/usr/lib/x")),
    "an environment": set(os.environ) <= known,
    "memory without end": refused(lambda: bytearray(1 << 30)),
    "being root": os.getuid() != 0,
}
open_doors = [name for name, closed in barriers.items() if not closed]
print(", ".join(open_doors) or "isolated")
