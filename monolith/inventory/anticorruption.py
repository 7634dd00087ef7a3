"""What the inventory asks of other contexts, in its own words."""

from __future__ import annotations

from typing import Protocol


class Neighbours(Protocol):
    """Who has pieces promised to them."""

    def let_go(self, order_id: int) -> bool:
        """Cancel an order whose pieces were promised for too long; False if it is past that."""


class InProcess:
    """The neighbours live in this process."""

    def let_go(self, order_id: int) -> bool:
        from ..ordering.errors import WrongStatus
        from ..ordering.models import Order
        from ..ordering.services import cancel_order

        try:
            cancel_order(order=Order(pk=order_id), by=None)
        except (Order.DoesNotExist, WrongStatus):
            return False
        return True


neighbours: Neighbours = InProcess()
