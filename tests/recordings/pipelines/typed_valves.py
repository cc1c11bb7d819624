from enum import Enum
from typing import Dict, List, Literal, Optional, Union
from pydantic import BaseModel, Field


class Color(str, Enum):
    red = "red"
    green = "green"


class Nested(BaseModel):
    host: str = "localhost"
    port: int = 1


class Pipeline:
    class Valves(BaseModel):
        text: str = Field("abc", description="plain text")
        empty_text: str = ""
        required_text: str = Field(title="Required one", min_length=1)
        password: str = Field("s3cret", description="a key", json_schema_extra={"input": {"type": "password"}})
        flag: bool = True
        whole: int = Field(3, ge=0, le=10)
        real: float = 0.5
        words: List[str] = ["a", "b"]
        no_words: List[str] = []
        numbers: List[int] = [1, 2]
        choice: Literal["low", "high"] = "low"
        choice_num: Literal[1, 2, 3] = 2
        color: Color = Color.red
        opt_text: Optional[str] = None
        opt_int: Optional[int] = None
        opt_words: Optional[List[str]] = None
        either: Union[int, str] = 5
        mapping: Dict[str, str] = {"k": "v"}
        nested: Nested = Nested()

    def __init__(self):
        self.name = "Typed valves"
        self.valves = self.Valves(required_text="here")

    def pipe(self, user_message, model_id, messages, body):
        return self.valves.text
