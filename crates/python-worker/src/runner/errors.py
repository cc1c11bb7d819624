"""Describes errors of a pipeline to the host."""

import asyncio
import traceback

from pipewright_runner.call import ClientDisconnected


def describe_error(error, call):
    """Returns the frame of an error, and writes its traceback to the log."""
    if isinstance(error, (ClientDisconnected, asyncio.CancelledError)) and call.is_cancelled:
        return {"end": None}
    violations = describe_violations(error) if call.method in ("load", "valves") else None
    if violations is not None:
        return {"error": {"message": "the valves were rejected", "valves": violations}}
    try:
        traceback.print_exception(type(error), error, error.__traceback__)
    except Exception:
        # The file has closed its standard error: it does without a traceback in the log.
        pass
    text = str(error)
    return {"error": {"message": text or type(error).__name__, "type": type(error).__name__}}


def describe_violations(error):
    """Returns the fields that a pydantic error names, each with its rule; the value is left out."""
    if type(error).__name__ != "ValidationError" or not callable(getattr(error, "errors", None)):
        return None
    entries = [(entry.get("loc") or ("valves",), entry.get("msg", "")) for entry in error.errors()]
    return [{"valve": ".".join(map(str, place)), "rule": rule} for place, rule in entries]
