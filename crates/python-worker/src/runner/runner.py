"""Runs one Python pipeline for pipewright: calls come in and results go out as JSON frames.

A frame is its length in four bytes, big-endian, then a JSON object. The host starts this program
with one end of a socket pair as its standard input; the first frame holds this text. Calls run
beside each other: plain functions in threads, coroutines on the event loop of the main thread.
Only the standard library is used. The protocol is described in `protocol.rs` of `python-worker`.
"""

import asyncio
import codecs
import concurrent.futures
import contextvars
import copy
import ctypes
import importlib.abc
import importlib.util
import inspect
import itertools
import json
import os
import queue
import signal
import socket
import struct
import sys
import threading
import traceback

# A thread of a call needs no more; a smaller stack lets hundreds of calls wait.
STACK_BYTES = 1 << 20
# So long the generator of a client that has left may take for its next step before its thread is
# interrupted; then so long until it is interrupted again, and so often.
STEP_SECONDS, INTERRUPT_SECONDS, INTERRUPT_ATTEMPTS = 0.25, 2, 5
# The bounds of `protocol.rs` and `frame.rs`: what the host takes of a file.
CREDIT_BYTES, MAX_ITEM_BYTES, MAX_FRAME_BYTES = 16 << 10, 16 << 20, 128 << 20
MAX_MODELS, MAX_VALVES = 10_000, 2_000
# A longer text is sent in several items.
PIECE_CHARACTERS = 16 << 10

CURRENT_CALL = contextvars.ContextVar("pipewright_call", default=None)


class ClientDisconnected(BaseException):
    """Ends a call whose client has left. It is no `Exception`, so that pipelines do not catch it."""


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


def dump_model(value):
    """Returns the fields of a pydantic model, of version 1 or 2; of anything else `None`."""
    if isinstance(value, type):
        return None
    if callable(getattr(value, "model_dump", None)):
        return value.model_dump(mode="json")
    if hasattr(value, "__fields__") and callable(getattr(value, "json", None)):
        return json.loads(value.json())
    return None


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


class HelperModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves the modules that pipelines import from their server."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        is_package = any(other.startswith(name + ".") for other in self.sources)
        if name not in self.sources and not is_package:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=is_package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        code = compile(self.sources.get(name, ""), f"<pipewright {name}>", "exec")
        exec(code, module.__dict__)


class Pipeline:
    """The pipeline of the file."""

    def __init__(self, module_name, path):
        spec = importlib.util.spec_from_file_location(module_name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
        if not hasattr(module, "Pipeline"):
            raise ImportError("the file has no class `Pipeline`")
        self.pipeline = module.Pipeline()

    def has(self, name):
        return callable(getattr(self.pipeline, name, None))

    def describe(self):
        """Returns what is known without running more of the file."""
        pipeline = self.pipeline
        texts = {name: getattr(pipeline, name, None) for name in ("id", "name", "type")}
        texts = {name: None if text is None else str(text) for name, text in texts.items()}
        methods = [name for name in ("pipe", "inlet", "outlet") if self.has(name)]
        return {**texts, "methods": methods, **self.describe_valves()}

    def describe_valves(self):
        valves = getattr(self.pipeline, "valves", None)
        kind = type(valves)
        if callable(getattr(kind, "model_json_schema", None)):
            schema = kind.model_json_schema()
        elif callable(getattr(kind, "schema", None)):
            schema = kind.schema()
        else:
            return {"schema": {}, "valves": {}, "pipelines": None, "priority": None}
        count = len(schema.get("properties", ()))
        if count > MAX_VALVES:
            raise ValueError(f"the file has {count} valves, where {MAX_VALVES} are allowed")
        values = self.dump_valves()
        pipelines, priority = values.get("pipelines"), values.get("priority")
        return {"schema": schema, "valves": values, "pipelines": pipelines, "priority": priority}

    def dump_valves(self):
        valves = self.pipeline.valves
        values = dump_model(valves) or {}
        for name in values:
            secret = getattr(getattr(valves, name, None), "get_secret_value", None)
            if callable(secret):
                values[name] = secret()
        return values

    async def list_models(self):
        """Returns the models of a manifold: `pipelines` is a list, a function or a coroutine."""
        models = getattr(self.pipeline, "pipelines", None)
        if callable(models):
            models = await call_beside(models)
        models = list(models or [])
        if len(models) > MAX_MODELS:
            raise ValueError(f"`pipelines` has {len(models)} models, where {MAX_MODELS} are allowed")
        entry = lambda model: {"id": str(model["id"]), "name": str(model.get("name", model["id"]))}
        return [entry(dump_model(model) or model) for model in models]

    async def set_valves(self, values, notifies):
        """Sets the valves and notifies the pipeline. On an error it keeps those from before."""
        before = getattr(self.pipeline, "valves", None)
        if dump_model(before) is None:
            return
        self.pipeline.valves = type(before)(**values)
        try:
            if notifies and self.has("on_valves_updated"):
                await resolve(self.pipeline.on_valves_updated())
        except BaseException:
            self.pipeline.valves = before
            raise

    async def run_hook(self, name):
        if self.has(name):
            await resolve(getattr(self.pipeline, name)())

    async def filter(self, name, body, user):
        if not self.has(name):
            return body
        return await call_beside(getattr(self.pipeline, name), body, user)


async def resolve(value):
    return await value if inspect.isawaitable(value) else value


async def call_beside(function, *arguments):
    """Calls a coroutine function on the loop, and any other function in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    context = contextvars.copy_context()
    run = lambda: context.run(function, *arguments)
    return await resolve(await asyncio.get_running_loop().run_in_executor(None, run))


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


def serve_host_client(runner):
    """Provides the module `pipewright`, by which a pipeline asks other models of the host."""
    module = type(sys)("pipewright", "The models of the host that runs this pipeline.")

    def chat(body):
        """Returns the answer of a model of the host to `{"model": …, "messages": […]}`."""
        return "".join(stream(body))

    def stream(body):
        """Yields the text of the answer piece by piece."""
        return runner.ask("chat", body)

    def models():
        """Returns the ids of the models of the host."""
        return list(runner.ask("models", {}))

    module.chat, module.stream, module.models = chat, stream, models
    sys.modules["pipewright"] = module


def main(connection):
    threading.stack_size(STACK_BYTES)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    channel = Channel(connection)
    settings = channel.read()
    confinement = {}
    exec(compile(settings["confine"], "<pipewright confine>", "exec"), confinement)
    is_confined = confinement["confine"](settings["limits"])
    channel.write({"ready": {"is_confined": is_confined, "python": sys.version.split()[0]}})
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
