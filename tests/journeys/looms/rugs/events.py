from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class RugWoven:
    type: ClassVar[str] = "rugs.rug_woven.v1"
    number: int

    @property
    def key(self) -> str:
        return f"rug-{self.number % 10}"
