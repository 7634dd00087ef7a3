"""What the catalog asks of other contexts, in its own words.

Reads ask nothing: a product's counters and a review's author are kept in the catalog's own rows. What is left
are questions of its writes, which stay in the monolith for now, and so are answered in process.
"""

from __future__ import annotations

from typing import Protocol


class Neighbours(Protocol):
    """What the catalog needs to know before it writes."""

    def has_bought(self, user_id: int, product_id: int) -> bool:
        """Whether the user has an order of the product that wasn't cancelled."""

    def name_of(self, user_id: int) -> str:
        """The name under which the user writes in public."""


class InProcess:
    """Asks the neighbours' tables in the monolith's own database."""

    def has_bought(self, user_id: int, product_id: int) -> bool:
        from ..ordering.models import Order, OrderLine

        bought = OrderLine.objects.filter(order__buyer_id=user_id, product_id=product_id)
        return bought.exclude(order__status=Order.Status.CANCELLED).exists()

    def name_of(self, user_id: int) -> str:
        from ..identity.models import User

        return User.objects.get(pk=user_id).display_name


neighbours: Neighbours = InProcess()
