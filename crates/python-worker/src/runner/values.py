"""Turns values of a pipeline into values that JSON has a form for."""

import json


def dump_model(value):
    """Returns the fields of a pydantic model, of version 1 or 2; of anything else `None`."""
    if isinstance(value, type):
        return None
    if callable(getattr(value, "model_dump", None)):
        return value.model_dump(mode="json")
    if hasattr(value, "__fields__") and callable(getattr(value, "json", None)):
        return json.loads(value.json())
    return None


def to_plain(value):
    """Returns a value that JSON has no form for as one that it has."""
    model = dump_model(value)
    if model is not None:
        return model
    if isinstance(value, (set, tuple)):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
