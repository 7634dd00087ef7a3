"""What notifications announce, to themselves: a mail that is queued is sent by whoever hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class MailQueued:
    mail: int
    type: ClassVar[str] = "notifications.mail_queued.v1"

    @property
    def key(self) -> str:
        return f"mail-{self.mail}"
