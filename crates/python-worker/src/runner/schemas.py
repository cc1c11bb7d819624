"""The request types that pipelines import as `schemas`."""

from typing import List, Optional, Union

from pydantic import BaseModel


class OpenAIChatMessage(BaseModel):
    """A message of a chat. Fields that are not named here are kept."""

    role: str
    content: Union[str, List]

    class Config:
        extra = "allow"


class OpenAIChatCompletionForm(BaseModel):
    """A request for a chat completion. Fields that are not named here are kept."""

    stream: bool = True
    model: str
    messages: List[OpenAIChatMessage]

    class Config:
        extra = "allow"


class FilterForm(BaseModel):
    """A request to a filter."""

    body: dict
    user: Optional[dict] = None

    class Config:
        extra = "allow"
