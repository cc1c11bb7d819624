from typing import List, Optional
from pydantic import BaseModel


class Pipeline:
    class Valves(BaseModel):
        pipelines: List[str] = []
        priority: int = 0
        target_user_roles: List[str] = ["user"]
        max_turns: Optional[int] = None

    def __init__(self):
        self.type = "filter"
        self.name = "Conversation Turn Limit Filter"
        self.valves = self.Valves(pipelines=["*"], max_turns=10)

    async def inlet(self, body: dict, user: Optional[dict] = None) -> dict:
        if user.get("role", "admin") in self.valves.target_user_roles:
            if len(body.get("messages", [])) > self.valves.max_turns:
                raise Exception(f"Conversation turn limit exceeded. Max turns: {self.valves.max_turns}")
        return body
