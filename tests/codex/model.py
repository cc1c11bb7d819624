"""Plays the model's part, as an OpenAI-compatible server whose answers follow from how many of its steps the chat holds.

`model.py PORT_FILE STEPS_FILE`: STEPS_FILE holds a list of `{"tool": <name>, "arguments": {…}}` and `{"say": <text>}`, the latter at the
end of a turn; after the last one the model says "All done." Steps that were asked are appended to PORT_FILE.log, one JSON a line.
"""

import http.server
import json
import sys

PORT_FILE, STEPS_FILE = sys.argv[1:3]
STEPS = json.load(open(STEPS_FILE))


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_json({"object": "list", "data": [{"id": "gpt-5.5", "object": "model", "created": 1, "owned_by": "tests"}]})

    def send_json(self, value):
        self.send_bytes(json.dumps(value).encode(), "application/json")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        results = [m for m in body["messages"] if m["role"] == "tool"]
        tools = [t["function"]["name"] for t in body.get("tools") or []]
        with open(PORT_FILE + ".log", "a") as log:
            log.write(json.dumps({"results": [text_of(m) for m in results], "tools": tools}) + "\n")
        answers = "\n".join(text_of(m) for m in body["messages"] if m["role"] == "assistant")
        position = len(results) + sum(step["say"] in answers for step in STEPS if "say" in step)
        step = STEPS[position] if tools and position < len(STEPS) else None
        name = next((t for t in tools if t == step.get("tool")), None) if step else None
        if name:
            call = {"index": 0, "id": f"call_{position}", "type": "function",
                    "function": {"name": name, "arguments": json.dumps(step["arguments"])}}
            delta, reason = {"role": "assistant", "tool_calls": [call]}, "tool_calls"
        else:
            text = step.get("say") or f"There is no tool {step['tool']}." if step else "All done."
            delta, reason = {"role": "assistant", "content": text}, "stop"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        head = {"id": "chatcmpl-1", "created": 1, "model": "played"}
        if body.get("stream"):
            chunks = [
                {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
                {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
                {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage},
            ]
            said = "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n"
            self.send_bytes(said.encode(), "text/event-stream")
        else:
            choice = {"index": 0, "message": {"content": None, **delta}, "finish_reason": reason}
            self.send_json({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def send_bytes(self, said, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
with open(PORT_FILE, "w") as port:
    port.write(str(server.server_port))
server.serve_forever()
