from typing import List, Optional
from pydantic import BaseModel


class Pipeline:
    class Valves(BaseModel):
        pipelines: List[str] = ["*"]
        priority: int = 5
        rewrite_output: bool = False

    def __init__(self):
        self.type = "filter"
        self.name = "Recorder filter"
        self.valves = self.Valves()

    async def inlet(self, body: dict, user: Optional[dict] = None) -> dict:
        last = body["messages"][-1]["content"]
        if isinstance(last, str) and "block me" in last:
            raise Exception("Blocked by recorder filter")
        return body

    async def outlet(self, body: dict, user: Optional[dict] = None) -> dict:
        last = body["messages"][-1]
        if isinstance(last.get("content"), str):
            last["content"] += " [outlet]"
        if self.valves.rewrite_output:
            for item in last.get("output") or []:
                for part in item.get("content") or []:
                    if "text" in part:
                        part["text"] += " [outlet]"
        return body
