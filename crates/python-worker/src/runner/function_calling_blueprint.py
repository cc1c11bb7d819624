"""A filter that lets a model pick a function, calls it, and puts its result before the chat.

Pipelines import it as `blueprints.function_calling_blueprint`, derive from `Pipeline`, and set
`self.tools` to an object whose public methods are the functions.
"""

import json
import os
from typing import List, Optional

import requests
from pydantic import BaseModel

from utils.pipelines.main import (
    add_or_update_system_message,
    get_last_user_message,
    get_tools_specs,
)

DEFAULT_SYSTEM_PROMPT = """These functions can be called:
{}

If the user's last message needs one of them, answer with nothing but a JSON object of this form:
{{"name": "name_of_the_function", "parameters": {{"name_of_a_parameter": "value"}}}}
If none of them fits, answer with an empty text.
"""

DEFAULT_TEMPLATE = """Use what stands between the context tags to answer the user.
<context>
    {{CONTEXT}}
</context>
Say so if you do not know the answer. Do not mention the context. Answer in the user's language."""

# So many of the last messages are shown to the model that picks the function.
HISTORY = 4
TIMEOUT_SECONDS = 60


class Pipeline:
    class Valves(BaseModel):
        pipelines: List[str] = []
        priority: int = 0
        OPENAI_API_BASE_URL: str
        OPENAI_API_KEY: str
        TASK_MODEL: str
        TEMPLATE: str

    def __init__(self, prompt: Optional[str] = None) -> None:
        self.type = "filter"
        self.name = "Function Calling Blueprint"
        self.prompt = prompt or DEFAULT_SYSTEM_PROMPT
        self.tools: object = None
        self.valves = self.Valves(
            pipelines=["*"],
            OPENAI_API_BASE_URL=os.getenv("OPENAI_API_BASE_URL", "https://api.openai.com/v1"),
            OPENAI_API_KEY=os.getenv("OPENAI_API_KEY", "YOUR_OPENAI_API_KEY"),
            TASK_MODEL=os.getenv("TASK_MODEL", "gpt-3.5-turbo"),
            TEMPLATE=DEFAULT_TEMPLATE,
        )

    async def on_startup(self):
        pass

    async def on_shutdown(self):
        pass

    async def inlet(self, body: dict, user: Optional[dict] = None) -> dict:
        if body.get("title", False):
            return body
        messages = body["messages"]
        prompt = self.prompt.format(json.dumps(get_tools_specs(self.tools), indent=2))
        lines = [f"{one['role']}: {one['content']}" for one in messages[::-1][:HISTORY]]
        history = "History:\n" + "\n".join(lines)
        question = f"{history}\nQuery: {get_last_user_message(messages)}"
        return {**body, "messages": self.call_function(self.run_completion(prompt, question), messages)}

    def call_function(self, result: dict, messages: List[dict]) -> List[dict]:
        """Calls the function that was picked; returns the messages with its result."""
        if "name" not in result:
            return messages
        try:
            found = getattr(self.tools, result["name"])(**result["parameters"])
        except Exception as error:
            print(f"The function {result['name']} has failed: {error}")
            return messages
        if not found:
            return messages
        prompt = self.valves.TEMPLATE.replace("{{CONTEXT}}", str(found))
        return add_or_update_system_message(prompt, messages)

    def run_completion(self, system_prompt: str, content: str) -> dict:
        """Asks the model which function to call; returns `{}` if none."""
        messages = [
            {"role": "system", "content": system_prompt},
            {"role": "user", "content": content},
        ]
        try:
            response = requests.post(
                f"{self.valves.OPENAI_API_BASE_URL}/chat/completions",
                json={"model": self.valves.TASK_MODEL, "messages": messages},
                headers={"Authorization": f"Bearer {self.valves.OPENAI_API_KEY}"},
                timeout=TIMEOUT_SECONDS,
            )
            response.raise_for_status()
            text = response.json()["choices"][0]["message"]["content"]
            return json.loads(text) if text else {}
        except Exception as error:
            print(f"No function was picked: {error}")
            return {}
