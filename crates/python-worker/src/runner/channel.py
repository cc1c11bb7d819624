"""The connection to the host: frames of a length in four bytes, big-endian, and a JSON object."""

import json
import struct
import threading

from pipewright_runner.values import to_plain

# The bound of `frame.rs`.
MAX_FRAME_BYTES = 128 << 20


class Channel:
    """The connection to the host."""

    def __init__(self, connection):
        self.connection = connection
        self.write_lock = threading.Lock()

    def read(self):
        """Returns the next frame, or `None` after the last one."""
        head = self.read_exactly(4)
        body = head and self.read_exactly(struct.unpack(">I", head)[0])
        return json.loads(body) if body else None

    def read_exactly(self, count):
        received = bytearray()
        while len(received) < count:
            piece = self.connection.recv(min(count - len(received), 1 << 20))
            if not piece:
                return None
            received += piece
        return bytes(received)

    def write(self, frame):
        self.send(self.encode(frame, MAX_FRAME_BYTES))

    @staticmethod
    def encode(frame, most):
        # Half a character (a lone surrogate) cannot be sent in UTF-8.
        text = json.dumps(frame, default=to_plain, ensure_ascii=False, allow_nan=False)
        body = text.encode("utf-8", "replace")
        if len(body) > most:
            raise ValueError(f"{len(body)} bytes were sent at once, where {most} are allowed")
        return body

    def send(self, body):
        with self.write_lock:
            self.connection.sendall(struct.pack(">I", len(body)) + body)
