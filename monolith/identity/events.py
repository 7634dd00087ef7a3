"""What identity announces, in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class UserDeleted:
    """An account is gone; whoever holds its id lets go of it, by a rule of their own."""

    user: int
    type: ClassVar[str] = "identity.user_deleted.v1"

    @property
    def key(self) -> str:
        return f"user-{self.user}"
