import json, time
from pydantic import BaseModel


class Pipeline:
    class Valves(BaseModel):
        prefix: str = "echo: "
        delay_ms: int = 5

    def __init__(self):
        self.type = "manifold"
        self.id = "echo"
        self.name = "Echo: "
        self.valves = self.Valves()
        self.pipelines = [{"id": "plain", "name": "Plain"}, {"id": "shapes.v1", "name": "Shapes"}]

    def pipe(self, user_message, model_id, messages, body):
        if model_id == "plain":
            return self.plain(user_message, body)
        return self.shapes(user_message, messages, body)

    def plain(self, text, body):
        words = [word + " " for word in text.split(" ")]
        if not body.get("stream"):
            return self.valves.prefix + "".join(words)
        return iter([self.valves.prefix, *words])

    def shapes(self, text, messages, body):
        if messages[-1]["role"] == "tool":
            return "the tool said: " + messages[-1]["content"][:60]
        if text == "return str":
            return "one string"
        if text == "return none":
            return None
        if text == "return iterator":
            return iter(["it", "er"])
        if text == "boom":
            raise ValueError("boom in pipe")
        if text == "errdict":
            return {"error": {"message": "provider said no", "type": "rate_limit", "code": 429}}
        return self.stream(text)

    def stream(self, text):
        chunk = lambda delta, finish=None: {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "echo.shapes.v1",
                                            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        if text == "yield bytes":
            yield b'data: {"choices": [{"index": 0, "delta": {"content": "from bytes"}}]}\n'
            yield b"plain bytes"
        elif text == "yield numbers":
            yield 1
            yield None
            yield 2.5
            yield ["x"]
        elif text == "raise midway":
            yield "first part "
            raise ValueError("raised midway")
        elif text == "call a tool":
            f = {"name": "get_current_timestamp", "arguments": ""}
            yield chunk({"role": "assistant", "content": None, "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": f}]})
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
            yield chunk({}, "tool_calls")
        else:
            yield {"event": {"type": "status", "data": {"description": "working", "done": False}}}
            yield chunk({"role": "assistant"})
            yield chunk({"reasoning_content": "let me think"})
            yield chunk({"content": "Hello "})
            yield "data: " + json.dumps(chunk({"content": "raw line "}))
            yield "bare text. "
            yield {"event": {"type": "citation", "data": {"document": ["doc text"], "metadata": [{"source": "http://x/y"}],
                                                          "source": {"name": "Doc", "url": "http://x/y"}}}}
            yield {"event": {"type": "status", "data": {"description": "done", "done": True}}}
            yield {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "echo.shapes.v1", "choices": [],
                   "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
