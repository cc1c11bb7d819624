"""Confines the process that runs a Python pipeline, before any of the pipeline's code is read.

Limits of memory, open files and processes (setrlimit), an end with its parent, no new privileges
and no capabilities (prctl, capset), and the files that can be reached (Landlock, see
https://docs.kernel.org/userspace-api/landlock.html). Only the standard library is used.
"""

import ctypes
import os
import resource
import signal
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
SYSTEM_FOLDERS = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/nix", "/proc", "/sys"]
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


def confine(settings):
    """Applies `settings`; returns whether the reachable files could be limited too."""
    set_limits(settings)
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux":
        return False
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    drop_capabilities(libc)
    return limit_files(libc, settings["readable"], settings["writable"])


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
    interpreter = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))]
    _, settings = public_parts("/etc")
    system = SYSTEM_FOLDERS + NAME_SERVICES + settings + [os.path.realpath("/etc/resolv.conf")]
    for path in system + interpreter + sys.path + readable:
        allow(libc, ruleset, path, (EXECUTE | READ_FILE | READ_DIR) & rights)
    for path in ["/dev"] + writable:
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
