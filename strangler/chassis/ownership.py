"""Which rows this home owns, as its own database says: asked by whatever may only happen at the owner.

Setting: FIRST_OWNER, True by default; False in a home that owns rows only once a switch has moved them there,
and so owns nothing of which its database says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import connection


@dataclass(frozen=True)
class Unit:
    """A capability whose rows have an owner and a follower; `other` is the home that isn't this one."""

    name: str
    state: str  # owner, fenced, offered or follower
    epoch: int
    other: str

    @property
    def is_owned(self) -> bool:
        return self.state == "owner"


class Beliefs:
    """What this database says, read afresh at every question, in one statement once it says anything."""

    def __init__(self) -> None:
        self._are_there = False

    def units(self) -> dict[str, Unit]:
        """Every capability that is known here, by its name."""
        with connection.cursor() as cursor:
            if not self._are_there:
                cursor.execute("SELECT to_regclass('strangler_ownership.unit') IS NOT NULL")
                self._are_there = cursor.fetchone() == (True,)
            if not self._are_there:
                return {}
            cursor.execute("SELECT name, state, epoch, other FROM strangler_ownership.unit")
            return {row[0]: Unit(*row) for row in cursor.fetchall()}

    def owns(self, capability: str) -> bool:
        """Whether this home writes the capability's rows."""
        unit = self.units().get(capability)
        return unit.is_owned if unit else is_first_owner()

    def owns_context(self, name: str) -> bool:
        """Whether this home writes all rows of the context that `name` begins with, as in `catalog.stock`."""
        context = name.partition(".")[0]
        units = [one for one in self.units().values() if one.name.partition(".")[0] == context]
        return all(one.is_owned for one in units) if units else is_first_owner()

    def elsewhere(self, context: str) -> str:
        """The home that writes rows of a context where this one may not; "" where it may."""
        units = [one for one in self.units().values() if one.name.partition(".")[0] == context]
        return next((one.other for one in units if not one.is_owned), "")


def is_first_owner() -> bool:
    """Whether this home owns what its database says nothing of."""
    return bool(getattr(settings, "FIRST_OWNER", True))
