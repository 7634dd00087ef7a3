"""What the catalog asks of other contexts, in its own words.

Reads ask nothing: a product's counters and a review's author are kept in the catalog's own rows. What is left
is a question of its writes, put before their transaction begins.
"""

from __future__ import annotations

from typing import Protocol

from strangler.chassis.identity import Caller


class Neighbours(Protocol):
    """What the catalog needs to know before it writes."""

    def has_bought(self, caller: Caller, product_id: int) -> bool:
        """Whether the caller has an order of the product that wasn't cancelled."""

    def name_of(self, user_id: int) -> str:
        """The name under which a user writes in public, where no caller's token tells it."""


class InProcess:
    """Asks the neighbours' tables in the monolith's own database."""

    def has_bought(self, caller: Caller, product_id: int) -> bool:
        from ..ordering.models import OrderLine

        return OrderLine.has_bought(int(caller.subject), product_id)

    def name_of(self, user_id: int) -> str:
        from ..identity.models import User

        return User.objects.get(pk=user_id).display_name


neighbours: Neighbours = InProcess()
