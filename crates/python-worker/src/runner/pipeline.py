"""The pipeline of the file: its description, its valves and its functions."""

import importlib.util
import sys

from pipewright_runner.functions import call_beside, resolve
from pipewright_runner.values import dump_model

# The bounds of `protocol.rs`: what the host takes of a file.
MAX_MODELS, MAX_VALVES = 10_000, 2_000


class Pipeline:
    """The pipeline of the file."""

    def __init__(self, module_name, path):
        name = choose_module_name(module_name)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        # Data classes look their module up.
        sys.modules[name] = module
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


def choose_module_name(name):
    """Returns the name, or another one if that of a module which the file may want to import."""
    while name in sys.modules or importlib.util.find_spec(name):
        name += "_pipeline"
    return name
