"""Changes the permissions and times of files for a confined process, within its own folders.

Landlock does not limit these changes, and a filter of system calls cannot read paths. So the kernel
asks this process, which makes the change itself or refuses it (seccomp user notification, see
https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html). It changes the file that it has
opened and looked at: what the process does to the path meanwhile has no effect.
"""

import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
import time

NOTIFICATION = struct.Struct("=QII" + "iIQ6Q")
RECEIVE_NOTIFICATION, SEND_RESPONSE, IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x1000
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
MAX_PATH_BYTES = 4096


def serve_attributes(connection):
    """Answers the kernel until the process and its children have ended."""
    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
    if not descriptors:
        # The kernel refuses all changes.
        return
    settings, listener = json.loads(message), descriptors[0]
    calls = {int(number): name for number, name in settings["attributes"].items()}
    folders = [os.path.realpath(folder) for folder in settings["writable"]]
    while True:
        buffer = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, RECEIVE_NOTIFICATION, buffer)
        except OSError as error:
            # The process was interrupted or has ended meanwhile.
            if error.errno in (errno.EINTR, errno.ENOENT):
                continue
            return
        number, process, _, call, _, _, *arguments = NOTIFICATION.unpack(buffer)
        try:
            change = AttributeChange(listener, number, process, folders)
            error = -(change.make(calls.get(call), arguments) or 0)
        except OSError as problem:
            error = -(problem.errno or errno.EPERM)
        except Exception:
            # A number that is no time, for example. Others wait for their answers.
            error = -errno.EINVAL
        try:
            fcntl.ioctl(listener, SEND_RESPONSE, struct.pack("=QqiI", number, 0, error, 0))
        except OSError:
            # Nobody waits for the response any more.
            continue


class AttributeChange:
    """One change that a process asks for."""

    def __init__(self, listener, number, process, folders):
        self.listener, self.number = listener, number
        self.process, self.folders = process, folders

    def make(self, call, arguments):
        """Makes the change; returns the number of the error if it is refused."""
        first, second, third, fourth = arguments[:4]
        if call in ("chmod", "fchmod"):
            place = (AT_FDCWD, first) if call == "chmod" else (first, None)
            return self.change_mode(*place, second)
        if call in ("fchmodat", "fchmodat2"):
            return self.change_mode(first, second, third, fourth if call == "fchmodat2" else 0)
        if call == "utimensat":
            return self.change_times(first, second or None, third, fourth)
        if call in ("chown", "lchown", "fchown"):
            return refuse_owner(second, third)
        if call == "fchownat":
            return refuse_owner(third, fourth)
        return errno.EPERM

    def change_mode(self, directory, address, mode, flags=0):
        with self.open(directory, address, flags) as file:
            # No file is made that runs as its owner (S_ISUID).
            os.chmod(file.path, mode & 0o777)

    def change_times(self, directory, address, times, flags):
        given = struct.unpack("=4q", self.read_memory(times, 32)) if times else None
        with self.open(directory, address, flags) as file:
            before = os.stat(file.path)
            before, now = (before.st_atime_ns, before.st_mtime_ns), time.time_ns()
            if given is None:
                os.utime(file.path)
                return
            chosen = []
            for place in range(2):
                seconds, part = given[2 * place : 2 * place + 2]
                special = {UTIME_NOW: now, UTIME_OMIT: before[place]}
                chosen.append(special.get(part, seconds * 10**9 + part))
            os.utime(file.path, ns=tuple(chosen))

    def open(self, directory, address, flags):
        directory = ctypes.c_int32(directory).value
        place = "cwd" if directory == AT_FDCWD else f"fd/{directory}"
        path = f"/proc/{self.process}/{place}"
        if not os.path.lexists(path):
            raise OSError(errno.EBADF, "there is no such open file")
        if address is not None:
            name = self.read_text(address)
            # This process's own descriptors are others.
            if name.startswith("/proc/self/"):
                name = f"/proc/{self.process}/" + name[len("/proc/self/") :]
            if name:
                return OwnFile(os.path.join(path, name), flags & AT_SYMLINK_NOFOLLOW, self)
            if not flags & AT_EMPTY_PATH:
                raise FileNotFoundError(errno.ENOENT, "the path is empty")
        return OwnFile(path, False, self)

    def check_waiting(self):
        """Raises an error if the process has ended: its number may be another's by now."""
        fcntl.ioctl(self.listener, IS_VALID, struct.pack("=Q", self.number))

    def read_text(self, address):
        text = b""
        while b"\0" not in text and len(text) < MAX_PATH_BYTES:
            # What follows the text may be no memory of the process, so a page is not crossed.
            start = address + len(text)
            text += self.read_memory(start, 4096 - start % 4096)
        return os.fsdecode(text.split(b"\0")[0])

    def read_memory(self, address, size):
        with open(f"/proc/{self.process}/mem", "rb", 0) as memory:
            self.check_waiting()
            try:
                return os.pread(memory.fileno(), size, address)
            except (OSError, OverflowError):
                raise OSError(errno.EFAULT, "there is no memory") from None


class OwnFile:
    """A file within the folders of a process, opened without reading it."""

    def __init__(self, path, stays_at_link, change):
        no_follow = os.O_NOFOLLOW if stays_at_link else 0
        self.descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | no_follow)
        self.path = f"/proc/self/fd/{self.descriptor}"
        try:
            change.check_waiting()
            found = os.readlink(self.path)
            if not any(found == one or found.startswith(one + "/") for one in change.folders):
                raise PermissionError(errno.EPERM, "it is not in a folder of the process")
        except OSError:
            os.close(self.descriptor)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)


def refuse_owner(user, group):
    """Returns an error unless the owner stays: the process has no privilege to change it."""
    keeps = [ctypes.c_int32(one).value for one in (user, group)]
    stays = keeps[0] in (-1, os.getuid()) and keeps[1] in (-1, os.getgid())
    return 0 if stays else errno.EPERM
