"""Sends what a pipe returns or yields to the host, as items of the protocol."""

import codecs

from pipewright_runner.functions import call_beside
from pipewright_runner.values import dump_model

# A longer text is sent in several items.
PIECE_CHARACTERS = 16 << 10


class ItemEncoder:
    """Turns what a pipe returns or yields into items of the protocol."""

    def __init__(self):
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def encode(self, value):
        """Yields the items of a value: none if it says nothing, several for a long text."""
        if value is None:
            return
        model = dump_model(value)
        if model is not None or isinstance(value, dict):
            yield {"object": value if model is None else model}
            return
        if isinstance(value, (bytes, bytearray)):
            value = self.decoder.decode(bytes(value))
        text = value if isinstance(value, str) else str(value)
        # A line of an event stream is read as a whole.
        step = max(len(text), 1) if text.startswith("data:") else PIECE_CHARACTERS
        for start in range(0, len(text), step):
            yield {"rest" if start else "text": text[start : start + step]}


def is_whole(result):
    """Returns whether a result is one item, and not an iterable of them."""
    is_value = isinstance(result, (str, bytes, bytearray, dict)) or dump_model(result) is not None
    return is_value or not hasattr(result, "__iter__")


def emit_result(call, result):
    encoder = ItemEncoder()
    if is_whole(result):
        emit_item(call, encoder, result)
        return
    iterator = iter(result)
    try:
        for value in iterator:
            call.check_cancelled()
            emit_item(call, encoder, value)
    finally:
        for owner in (iterator, result):
            if callable(getattr(owner, "close", None)):
                owner.close()


def emit_item(call, encoder, value):
    for item in encoder.encode(value):
        call.emit(item)


async def emit_item_async(call, encoder, value):
    for item in encoder.encode(value):
        await call.emit_async(item)


async def emit_result_async(call, result):
    if not hasattr(result, "__aiter__"):
        if is_whole(result):
            return await emit_item_async(call, ItemEncoder(), result)
        return await call_beside(lambda: call.run_in_thread(lambda: emit_result(call, result)))
    encoder = ItemEncoder()
    try:
        async for value in result:
            await emit_item_async(call, encoder, value)
    finally:
        if hasattr(result, "aclose"):
            await result.aclose()
