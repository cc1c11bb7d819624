"""Confines a process, before any line of a pipeline or of its packages is run.

Limits of memory, open files and processes (setrlimit), an end with its parent, no new privileges
and no capabilities (prctl, capset), the files that can be reached (Landlock, see
https://docs.kernel.org/userspace-api/landlock.html), and the system calls that can be made
(`system_calls.rs`). Only the standard library is used.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import sys

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH = 1, 1
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
# The file system rights of the first three versions of Landlock's ABI.
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
# Signals and abstract sockets stay among the process and its children, from version 6 on.
SCOPED_ABI, SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 6, 1 << 0, 1 << 1
# Rights that a rule for a single file may have: execute, write, read and truncate.
FILE_RIGHTS = EXECUTE | 1 << 1 | READ_FILE | 1 << 14
# As much as half of the machine's memory counts for the kernel's choice of a process to end.
OOM_SCORE = 500
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 1 << 3
SYSTEM_FOLDERS = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/nix"]
# What programs look up of the machine. Of processes, a process sees itself alone: the command line
# of any other may hold a key.
MACHINE = [
    *(f"/proc/{name}" for name in ["cpuinfo", "devices", "diskstats", "driver", "filesystems"]),
    *(f"/proc/{name}" for name in ["loadavg", "meminfo", "modules", "self", "stat", "swaps"]),
    *(f"/proc/{name}" for name in ["sys", "uptime", "version", "vmstat"]),
    *(f"/sys/{name}" for name in ["block", "bus", "class", "devices", "fs/cgroup", "kernel/mm"]),
]
# Shared memory and terminals are not among the devices: no limit of memory covers the former, and
# the latter may be those of the operator. A shared mapping of /dev/zero is shared memory.
DEVICES = ["/dev/null", "/dev/full", "/dev/random", "/dev/urandom"]
READABLE_DEVICES = ["/dev/zero"]
# The parts of /run that programs need to look up names. Others hold secrets, as /run/secrets.
NAME_SERVICES = ["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd", "/run/current-system"]


class RulesetAttributes(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


class FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def confine(settings, supervisor):
    """Applies `settings`; returns the names of the parts of the kernel that are missing for it."""
    set_limits(settings)
    close_inherited(supervisor)
    offer_to_oom_killer()
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux":
        return ["Landlock", "seccomp"]
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    drop_capabilities(libc)
    parts = {
        "Landlock": limit_files(libc, settings["readable"], settings["writable"]),
        "seccomp": limit_calls(libc, settings, supervisor),
    }
    return [name for name, is_there in parts.items() if not is_there]


def set_limits(settings):
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, settings["open_files"])]
    if settings["memory_bytes"] and hasattr(resource, "RLIMIT_DATA"):
        limits.append((resource.RLIMIT_DATA, settings["memory_bytes"]))
    # The kernel counts the threads of all processes of the user, and does not count for root.
    limits.append((resource.RLIMIT_NPROC, count_threads_of_user() + settings["processes"]))
    for kind, wanted in limits:
        _, most = resource.getrlimit(kind)
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (value, value))


def close_inherited(supervisor):
    """Closes files that whoever started the host has left open: Landlock does not close them."""
    kept = {0, 1, 2, supervisor.fileno() if supervisor else 0}
    try:
        opened = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        opened = range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for descriptor in opened:
        if descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                # It is not open, as the one of the list is no more.
                continue


def offer_to_oom_killer():
    """Has the kernel end this process and not the host when the machine has no memory left."""
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            score = max(int(file.read()), OOM_SCORE)
            file.seek(0)
            file.write(str(score))
    except OSError:
        # Without /proc, the kernel decides by size alone.
        return


def count_threads_of_user():
    count, user = 0, os.getuid()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            # The process has ended meanwhile, or is not ours to look at.
            continue
    return count


def drop_capabilities(libc):
    """Takes root's privileges from the process and from the programs that it runs.

    With CAP_PERFMON, Linux 6.15 and later show it the environment of any process, Landlock or not.
    """
    for capability in range(64):
        # The kernel refuses numbers that it does not know, and all if there is nothing to drop.
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    libc.capset(header, none)


def limit_files(libc, readable, writable):
    abi = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    if abi < 1:
        return False
    rights = RIGHTS_BY_ABI[min(abi, 3)]
    scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL if abi >= SCOPED_ABI else 0
    attributes = RulesetAttributes(rights, 0, scoped)
    # Versions before know the first field only.
    size = ctypes.sizeof(attributes) if scoped else ctypes.sizeof(ctypes.c_uint64)
    ruleset = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return False
    _, settings = public_parts("/etc")
    system = SYSTEM_FOLDERS + MACHINE + READABLE_DEVICES + NAME_SERVICES + settings
    for path in system + [os.path.realpath("/etc/resolv.conf")] + readable:
        allow(libc, ruleset, path, (EXECUTE | READ_FILE | READ_DIR) & rights)
    # A device that the operator names is of use only if it can be written.
    devices = DEVICES + [path for path in readable if path.startswith("/dev/")]
    for path in devices + writable:
        allow(libc, ruleset, path, rights)
    limited = libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return limited


def public_parts(folder):
    """Returns whether everybody may read all of a folder, and the largest parts that they may."""
    is_public, parts = True, []
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return False, []
    for entry in entries:
        # What a link leads to is judged where it is.
        if entry.is_symlink():
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        if not entry.is_dir():
            can_read, inner = mode & 0o004 != 0, [entry.path]
        elif mode & 0o005 == 0o005:
            can_read, inner = public_parts(entry.path)
        else:
            can_read, inner = False, []
        is_public = is_public and can_read
        parts += inner if can_read or entry.is_dir() else []
    return is_public, [folder] if is_public else parts


def allow(libc, ruleset, path, rights):
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # A folder that is not there needs no rule.
        return
    if not os.path.isdir(path):
        rights &= FILE_RIGHTS
    rule = PathBeneath(rights, parent)
    libc.syscall(
        SYS_LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0
    )
    os.close(parent)


def limit_calls(libc, settings, supervisor):
    calls = settings["calls"]
    if not calls:
        return False
    listener = install_filter(libc, calls, "filter", SECCOMP_FILTER_FLAG_NEW_LISTENER)
    if listener < 0:
        # Before Linux 5.0, or if the container has a listener of its own: nobody can be asked, so
        # the attributes of files stay as they are.
        return install_filter(libc, calls, "filter_without_listener", 0) == 0
    answers = {"attributes": calls["attributes"], "writable": settings["writable"]}
    socket.send_fds(supervisor, [json.dumps(answers).encode()], [listener])
    # Whoever has it answers.
    os.close(listener)
    return True


def install_filter(libc, calls, name, flags):
    instructions = bytes.fromhex(calls[name])
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = FilterProgram(len(instructions) // 8, ctypes.addressof(buffer))
    reference = ctypes.byref(program)
    return libc.syscall(calls["seccomp"], SECCOMP_SET_MODE_FILTER, flags, reference)
