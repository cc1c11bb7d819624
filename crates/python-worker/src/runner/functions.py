"""Calls functions of a pipeline, be they coroutine functions or not."""

import asyncio
import contextvars
import inspect


async def resolve(value):
    return await value if inspect.isawaitable(value) else value


async def call_beside(function, *arguments):
    """Calls a coroutine function on the loop, and any other function in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    context = contextvars.copy_context()
    run = lambda: context.run(function, *arguments)
    return await resolve(await asyncio.get_running_loop().run_in_executor(None, run))
