"""Modules that the host gives to pipelines: those of the reference server, and `pipewright`."""

import importlib.abc
import importlib.util
import sys


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
