"""The functions about messages and tools that pipelines import from `utils.pipelines.main`."""

import inspect
import time
import uuid
from typing import get_args, get_type_hints


def stream_message_template(model, message):
    """Returns a `chat.completion.chunk` with this text."""
    choice = {
        "index": 0,
        "delta": {"content": message},
        "logprobs": None,
        "finish_reason": None,
    }
    return {
        "id": f"{model}-{uuid.uuid4()}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
    }


def _text_of_last(messages, role):
    for message in reversed(messages):
        if message["role"] != role:
            continue
        content = message["content"]
        if isinstance(content, list):
            texts = (part["text"] for part in content if part["type"] == "text")
            return next(texts, content)
        return content
    return None


def get_last_user_message(messages):
    """Returns the text of the last message of the user, or `None`."""
    return _text_of_last(messages, "user")


def get_last_assistant_message(messages):
    """Returns the text of the last message of the assistant, or `None`."""
    return _text_of_last(messages, "assistant")


def get_system_message(messages):
    """Returns the first system message, or `None`."""
    return next((message for message in messages if message["role"] == "system"), None)


def remove_system_message(messages):
    """Returns the messages without system messages."""
    return [message for message in messages if message["role"] != "system"]


def pop_system_message(messages):
    """Returns the first system message, and the messages without system messages."""
    return get_system_message(messages), remove_system_message(messages)


def add_or_update_system_message(content, messages):
    """Puts a text before the system message, or makes it the system message. Changes `messages`."""
    first = messages[0] if messages else {}
    if first.get("role") == "system":
        first["content"] = f"{content}\n{first['content']}"
    else:
        messages.insert(0, {"role": "system", "content": content})
    return messages


def doc_to_dict(docstring):
    """Returns the description and the `:param name: text` lines of a docstring."""
    lines = [line.strip() for line in docstring.split("\n")]
    params = {}
    for line in lines:
        if line.startswith(":param") and ":" in line[6:]:
            name, description = line[6:].split(":", 1)
            params[name.strip()] = description.strip()
    # The description is the first line with text, be it beside the quotes or below them.
    description = next((line for line in lines if line and not line.startswith(":")), "")
    return {"description": description, "params": params}


def get_tools_specs(tools):
    """Returns the public methods of an object as functions in the form of OpenAI's API."""
    names = [name for name in dir(tools) if not name.startswith("__")]
    return [_tool_spec(name, getattr(tools, name)) for name in names if callable(getattr(tools, name))]


def _tool_spec(name, function):
    doc = doc_to_dict(function.__doc__ or name)
    hints = {key: hint for key, hint in get_type_hints(function).items() if key != "return"}
    parameters = inspect.signature(function).parameters.values()
    properties = {
        key: _property(hint, doc["params"].get(key, key)) for key, hint in hints.items()
    }
    required = [one.name for one in parameters if one.default is one.empty]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"name": name, "description": doc["description"] or name, "parameters": schema}


def _property(hint, description):
    name = getattr(hint, "__name__", None) or str(hint)
    choices = {"enum": list(get_args(hint))} if get_args(hint) else {}
    return {"type": name.lower(), **choices, "description": description}
