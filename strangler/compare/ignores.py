"""Which differences strangler.toml declares to be no bugs, and until when."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from strangler.compare.observation import Difference
from strangler.config import Ignore


@dataclass(frozen=True)
class Ignores:
    """The declared ignores as of `today`. One holds through its last day; after it, it excuses nothing."""

    declared: tuple[Ignore, ...]
    today: datetime.date

    @property
    def active(self) -> tuple[Ignore, ...]:
        return tuple(one for one in self.declared if self.today <= one.until)

    @property
    def expired(self) -> tuple[Ignore, ...]:
        return tuple(one for one in self.declared if self.today > one.until)

    def covering(self, route: str, difference: Difference) -> Ignore | None:
        """The active ignore for a difference on a route; a path covers what lies beneath it."""
        return _first(self.active, route, difference.path)

    def expired_for(self, route: str, path: str) -> Ignore | None:
        """The expired ignore that would have covered a path, so that a report can name it."""
        return _first(self.expired, route, path)


def _first(ignores: Iterable[Ignore], route: str, path: str) -> Ignore | None:
    return next((one for one in ignores if one.route in (route, "*") and _beneath(path, one.path)), None)


def _beneath(path: str, top: str) -> bool:
    return path == top or path.startswith((f"{top}.", f"{top}["))
