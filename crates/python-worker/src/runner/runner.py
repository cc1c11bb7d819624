"""Runs one Python pipeline for pipewright: calls come in and results go out as JSON frames.

The host starts this program with one end of a socket pair as its standard input; the first frame
holds the modules of this folder. Calls run beside each other: plain functions in threads,
coroutines on the event loop of the main thread. Only the standard library is used. The protocol is
described in `protocol.rs` of `python-worker`.
"""

import asyncio
import concurrent.futures
import contextvars
import copy
import inspect
import itertools
import os
import queue
import signal
import socket
import sys
import threading

from pipewright_runner.call import CURRENT_CALL, Call, ClientDisconnected
from pipewright_runner.channel import Channel
from pipewright_runner.errors import describe_error
from pipewright_runner.functions import resolve
from pipewright_runner.modules import HelperModules, serve_host_client
from pipewright_runner.pipeline import Pipeline
from pipewright_runner.results import emit_result, emit_result_async

# A thread of a call needs no more; a smaller stack lets hundreds of calls wait.
STACK_BYTES = 1 << 20


class Runner:
    """Reads frames, and runs the calls that they ask for."""

    def __init__(self, channel, loop):
        self.channel, self.loop = channel, loop
        self.calls, self.lock = {}, threading.Lock()
        self.questions, self.question_ids = {}, itertools.count(1)
        self.pipeline, self.threads = None, None

    def read_frames(self):
        """Reads frames until the host is gone, which ends the process and all that it started."""
        try:
            while True:
                frame = self.channel.read()
                if frame is None:
                    break
                self.dispatch(frame)
        finally:
            os.killpg(os.getpgid(0), signal.SIGKILL)

    def dispatch(self, frame):
        operation = frame["op"]
        if operation == "call":
            call = Call(self.channel, self.loop, frame)
            with self.lock:
                self.calls[call.id] = call
            self.start(call, frame)
        elif operation == "ping":
            self.channel.write({"pong": frame["id"]})
        elif operation == "reply":
            question = self.questions.get(frame["question"])
            if question:
                question.put(frame)
        else:
            call = self.calls.get(frame["id"])
            if call and operation == "credit":
                call.add_credit(frame["count"])
            elif call and operation == "cancel":
                call.cancel()

    def start(self, call, frame):
        method, arguments = frame["method"], frame.get("arguments", {})
        pipe = getattr(self.pipeline and self.pipeline.pipeline, "pipe", None)
        if method == "pipe":
            arguments = pipe_arguments(**arguments)
        is_async = inspect.iscoroutinefunction(pipe) or inspect.isasyncgenfunction(pipe)
        if method == "pipe" and not is_async:
            self.threads.submit(self.end, call, lambda: self.pipe_in_thread(call, pipe, arguments))
        else:
            self.loop.call_soon_threadsafe(self.start_task, call, method, arguments)

    def start_task(self, call, method, arguments):
        call.task = self.loop.create_task(self.run_task(call, method, arguments))
        if call.is_cancelled:
            call.task.cancel()

    def end(self, call, run):
        """Runs a call in this thread, and tells the host how it has ended."""
        CURRENT_CALL.set(call)
        try:
            call.check_cancelled()
            frame = {"end": call.run_in_thread(run)}
        except BaseException as error:
            frame = describe_error(error, call)
        self.finish(call, frame)

    async def run_task(self, call, method, arguments):
        CURRENT_CALL.set(call)
        try:
            frame = {"end": await self.run_method(call, method, arguments)}
        except BaseException as error:
            frame = describe_error(error, call)
        self.finish(call, frame)

    def finish(self, call, frame):
        with self.lock:
            self.calls.pop(call.id, None)
        try:
            call.finish(frame)
        except Exception as error:
            call.finish(describe_error(error, call))

    async def run_method(self, call, method, arguments):
        if method == "load":
            return self.load(**arguments)
        if method == "startup":
            return await self.pipeline.run_hook("on_startup")
        if method == "shutdown":
            return await self.pipeline.run_hook("on_shutdown")
        if method == "describe":
            return {**self.pipeline.describe(), "models": await self.pipeline.list_models()}
        if method == "valves":
            return await self.pipeline.set_valves(**arguments)
        if method == "pipe":
            result = self.pipeline.pipeline.pipe(**arguments)
            return await emit_result_async(call, await resolve(result))
        return await self.pipeline.filter(**arguments)

    def load(self, module, path, helpers, threads):
        workers = concurrent.futures.ThreadPoolExecutor(threads, "pipe")
        self.threads = workers
        self.loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(threads, "filter"))
        sys.meta_path.insert(0, HelperModules(helpers))
        serve_host_client(self)
        self.pipeline = Pipeline(module, path)
        return self.pipeline.describe()

    def pipe_in_thread(self, call, pipe, arguments):
        if pipe is None:
            raise TypeError("the pipeline has no function `pipe`")
        result = pipe(**arguments)
        if inspect.isawaitable(result) or hasattr(result, "__aiter__"):
            return self.emit_on_loop(call, result)
        emit_result(call, result)
        return None

    def emit_on_loop(self, call, result):
        context = contextvars.copy_context()

        async def emit():
            call.task = asyncio.current_task()
            call.check_cancelled()
            await emit_result_async(call, await resolve(result))

        future = concurrent.futures.Future()

        def start():
            task = context.run(self.loop.create_task, emit())
            task.add_done_callback(lambda task: settle(future, task))

        self.loop.call_soon_threadsafe(start)
        return future.result()

    def ask(self, method, body):
        """Asks the host on behalf of the current call, and yields the items of its reply."""
        call = CURRENT_CALL.get()
        if call is None:
            raise RuntimeError("models of the host can be asked only while a call is answered")
        replies, question = queue.Queue(), next(self.question_ids)
        self.questions[question] = replies
        self.channel.write({"id": call.id, "question": question, "method": method, "body": body})
        try:
            while True:
                reply = replies.get()
                if "error" in reply:
                    raise RuntimeError(reply["error"])
                if "item" not in reply:
                    return
                yield reply["item"]
        finally:
            self.questions.pop(question, None)


def pipe_arguments(model_id, body):
    """Returns the arguments of `pipe`. Its messages may be changed without changing the body's."""
    messages = copy.deepcopy(body["messages"])
    from utils.pipelines.main import get_last_user_message

    return {
        "user_message": get_last_user_message(messages),
        "model_id": model_id,
        "messages": messages,
        "body": body,
    }


def settle(future, task):
    if task.cancelled():
        future.set_exception(ClientDisconnected())
    elif task.exception():
        future.set_exception(task.exception())
    else:
        future.set_result(None)


def main(connection, missing):
    threading.stack_size(STACK_BYTES)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    channel = Channel(connection)
    channel.write({"ready": {"missing": missing, "python": sys.version.split()[0]}})
    runner = Runner(channel, loop)
    threading.Thread(target=runner.read_frames, daemon=True, name="host").start()
    loop.run_forever()


def connect():
    """Takes the socket from standard input, where it would be in the way of `input()`."""
    descriptor = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return socket.socket(fileno=descriptor)
