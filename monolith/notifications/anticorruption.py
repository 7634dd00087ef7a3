"""What notifications ask of other contexts, in their own words.

What has happened they hear by events. Whom to write to they ask when they write: an address changes, and
shouldn't lie in outboxes and queues for as long as events are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Person:
    """Somebody who can be written to."""

    name: str
    address: str


class Neighbours(Protocol):
    """Who people are, and whom they work for."""

    def person(self, user_id: int) -> Person | None:
        """Somebody by their key; None if they are gone."""

    def staff_of(self, seller_id: int) -> list[int]:
        """The keys of those who work for a seller."""


class InProcess:
    """Asks identity's tables in the monolith's own database."""

    def person(self, user_id: int) -> Person | None:
        from ..identity.models import User

        user = User.objects.filter(pk=user_id).first()
        return Person(user.display_name, user.email) if user else None

    def staff_of(self, seller_id: int) -> list[int]:
        from ..identity.models import SellerStaff

        staff = SellerStaff.objects.filter(seller=seller_id).order_by("id")
        return list(staff.values_list("user_id", flat=True))


neighbours: Neighbours = InProcess()
