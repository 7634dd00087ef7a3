"""What ordering announces, in the transaction of the change; others read of it what they need.

An order's state travels whole, lines and all. `restated` is that state said once more: after a correction
behind the counter, or to those who weren't listening when the order was placed.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from django.db.models import Prefetch, prefetch_related_objects

from strangler.chassis import outbox

from .models import Order, OrderLine

CENT = Decimal("0.01")
LINES = Prefetch("lines", OrderLine.objects.select_related("product").order_by("pk"))


@dataclass(frozen=True)
class _OfOrder:
    order: int
    number: str
    buyer: int

    @property
    def key(self) -> str:
        return f"order-{self.order}"


@dataclass(frozen=True)
class Line:
    """One product of an order, by the name and of the seller that it had just now."""

    line: int
    product: int
    name: str
    seller: int
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class _OrderState(_OfOrder):
    status: str
    placed_at: datetime.datetime
    total: Decimal
    discount: Decimal
    currency: str
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, order: Order) -> Self:
        # entangled: what a voucher took off stands in promotions' row, and a line's name in the catalog's
        prefetch_related_objects([order], LINES)
        redemption = getattr(order, "redemption", None)
        return cls(
            order=order.pk,
            number=order.number,
            buyer=order.buyer_id,
            status=str(order.status),
            placed_at=order.placed_at,
            total=order.total.quantize(CENT),
            discount=redemption.amount.quantize(CENT) if redemption else Decimal("0.00"),
            currency=order.currency,
            lines=tuple(
                Line(
                    line=line.pk,
                    product=line.product_id,
                    name=line.product.name,
                    seller=line.product.seller_id,
                    quantity=line.quantity,
                    unit_price=line.unit_price.quantize(CENT),
                )
                for line in order.lines.all()
            ),
        )


class OrderPlaced(_OrderState):
    type: ClassVar[str] = "ordering.order_placed.v1"


class OrderRestated(_OrderState):
    type: ClassVar[str] = "ordering.order_restated.v1"


class OrderCancelled(_OfOrder):
    type: ClassVar[str] = "ordering.order_cancelled.v1"

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(order.pk, order.number, order.buyer_id)


class OrderDeleted(_OfOrder):
    """It was struck out behind the counter, with its lines."""

    type: ClassVar[str] = "ordering.order_deleted.v1"

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(order.pk, order.number, order.buyer_id)


outbox.restates(
    "ordering.order",
    rows=lambda: Order.objects.select_related("redemption").prefetch_related(LINES),
    say=OrderRestated.of,
    said_by=(OrderPlaced, OrderRestated),
)
