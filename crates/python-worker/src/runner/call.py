"""A call of the host: it sends items while it has credit, and ends when its client leaves."""

import asyncio
import contextvars
import ctypes
import socket
import sys
import threading

# So long the generator of a client that has left may take for its next step before its thread is
# interrupted; then so long until it is interrupted again, and so often.
STEP_SECONDS, INTERRUPT_SECONDS, INTERRUPT_ATTEMPTS = 0.25, 2, 5
# The bounds of `protocol.rs`: what the host takes of a file.
CREDIT_BYTES, MAX_ITEM_BYTES = 16 << 10, 16 << 20

CURRENT_CALL = contextvars.ContextVar("pipewright_call", default=None)


class ClientDisconnected(BaseException):
    """Ends a call whose client has left. It is no `Exception`, so that pipelines do not catch it."""


class Call:
    """A call of the host that has not ended yet.

    The host grants `credit`: while there is some, an item may be sent before others are taken.
    """

    def __init__(self, channel, loop, frame):
        self.channel, self.loop = channel, loop
        self.id, self.method, self.credit = frame["id"], frame["method"], frame.get("credit", 0)
        self.changed = threading.Condition()
        self.waiter = None
        self.is_cancelled, self.is_done = False, threading.Event()
        self.thread, self.task = None, None

    def add_credit(self, count):
        with self.changed:
            self.credit += count
            self.changed.notify_all()
        self.loop.call_soon_threadsafe(self.wake)

    def wake(self):
        if self.waiter:
            self.waiter.set()

    def check_cancelled(self):
        if self.is_cancelled:
            raise ClientDisconnected

    def take_credit(self, size):
        with self.changed:
            while self.credit <= 0 and not self.is_cancelled:
                self.changed.wait()
            self.check_cancelled()
            self.credit -= 1 + size // CREDIT_BYTES

    def encode(self, item):
        return self.channel.encode({"id": self.id, "item": item}, MAX_ITEM_BYTES)

    def emit(self, item):
        """Sends an item from a thread; waits while there is no credit."""
        body = self.encode(item)
        self.take_credit(len(body))
        self.channel.send(body)

    async def emit_async(self, item):
        """Sends an item from the event loop; other calls go on while it waits."""
        body = self.encode(item)
        self.waiter = self.waiter or asyncio.Event()
        while not self.is_cancelled:
            self.waiter.clear()
            with self.changed:
                if self.credit > 0:
                    break
            await self.waiter.wait()
        self.take_credit(len(body))
        self.channel.send(body)

    def finish(self, frame):
        self.is_done.set()
        self.channel.write({"id": self.id, **frame})

    def cancel(self):
        with self.changed:
            self.is_cancelled = True
            self.changed.notify_all()
        self.loop.call_soon_threadsafe(self.cancel_task)
        threading.Thread(target=self.interrupt, daemon=True).start()

    def cancel_task(self):
        self.wake()
        if self.task:
            self.task.cancel()

    def interrupt(self):
        """Interrupts the call's thread until it ends; tells the host if it does not."""
        seconds = STEP_SECONDS
        for _ in range(INTERRUPT_ATTEMPTS):
            if self.is_done.wait(seconds):
                return
            seconds = INTERRUPT_SECONDS
            with self.changed:
                if self.thread is not None:
                    close_awaited_socket(self.thread)
                    raise_in_thread(self.thread, ClientDisconnected)
        if not self.is_done.wait(seconds):
            self.channel.write({"id": self.id, "stuck": True})

    def run_in_thread(self, function):
        """Runs `function` as this call's thread, in which `interrupt` may raise."""
        self.thread = threading.get_ident()
        try:
            return function()
        finally:
            with self.changed:
                thread, self.thread = self.thread, None
                # What was raised and has not arrived yet would hit the thread's next call.
                raise_in_thread(thread, None)


def raise_in_thread(thread, exception):
    kind = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), kind)


def close_awaited_socket(thread):
    """Shuts down the socket that a thread reads from, which ends the read."""
    frame = sys._current_frames().get(thread)
    while frame:
        owner = frame.f_locals.get("self")
        for candidate in (owner, getattr(owner, "_sock", None)):
            if isinstance(candidate, socket.socket):
                try:
                    candidate.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # It is closed already.
                    pass
                return
        frame = frame.f_back
