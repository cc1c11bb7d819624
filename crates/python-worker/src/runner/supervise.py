"""Runs a program in a child process, and ends with it all processes that it has started.

A process that leaves the child's process group (setsid), or whose parent has ended, becomes a child
of this process (PR_SET_CHILD_SUBREAPER, see
https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html). They are killed when the
child ends, when the host asks for it (SIGTERM), and when the host has ended (PR_SET_PDEATHSIG).
It also answers for the files whose attributes they change (`attributes.py`). Only the standard
library is used, and no line of a pipeline runs in this process.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
import threading

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def supervise():
    """Returns in a child that leads a process group; this process ends as the child does.

    The child gets a socket, to which it sends the listener of its filter of system calls.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signals = {signal.SIGCHLD, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    connection, supervisor = socket.socketpair()
    child = os.fork()
    if child == 0:
        connection.close()
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return supervisor
    supervisor.close()
    release_streams()
    threading.Thread(target=serve_attributes, args=[connection], daemon=True).start()
    status = wait_for(child, signals)
    kill_children()
    exit_as(status)


def release_streams():
    """Closes the connection to the host and the output, which belong to the child."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def wait_for(child, signals):
    """Returns the status of the child, or that of a killed one if the host asks for the end."""
    while signal.sigwait(signals) != signal.SIGTERM:
        for process, status in reap(os.WNOHANG):
            if process == child:
                return status
    return signal.SIGKILL


def reap(options):
    """Yields the children that have ended; without options it waits for them."""
    try:
        while True:
            process, status = os.waitpid(-1, options)
            if process == 0:
                return
            yield process, status
    except ChildProcessError:
        return


def kill_children():
    """Kills the children until there are none. What they leave become children in their turn."""
    while True:
        # A child that has ended keeps its number until it is reaped here, so that no other
        # process is hit.
        for process in children():
            os.kill(process, signal.SIGKILL)
        if next(reap(0), None) is None:
            return
        for _ in reap(os.WNOHANG):
            pass


def children():
    own = os.getpid()
    try:
        # Not every kernel has it (CONFIG_PROC_CHILDREN).
        with open(f"/proc/{own}/task/{own}/children") as file:
            return [int(process) for process in file.read().split()]
    except OSError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent(name) == own]


def parent(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            # The name in parentheses may hold anything.
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def exit_as(status):
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))
