"""Reads of ordering: the session's cart, and the orders that somebody may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from .. import shared
from ..catalog.models import Product
from ..promotions.models import Offer
from ..promotions.selectors import get_offers_of
from .models import Order

CART = "cart"  # the session's key: {"<product id>": quantity}


@dataclass(frozen=True)
class CartLine:
    """A product in the cart, at today's price; an offer makes it cheaper."""

    product: Product
    quantity: int
    offer: Offer | None = None

    @property
    def unit_price(self) -> Decimal:
        return self.offer.price if self.offer else self.product.price

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price


def list_cart_lines(session: Mapping[str, Any]) -> list[CartLine]:
    """The cart's lines, in the order of the products' keys; products that are gone are left out."""
    cart: dict[str, int] = session.get(CART, {})
    products = Product.objects.filter(pk__in=cart).select_related("seller").order_by("id")
    offers = get_offers_of(cart)  # entangled: what a line costs is decided by promotions' rows
    return [CartLine(product, cart[str(product.pk)], offers.get(product.pk)) for product in products]


def get_cart_total(lines: list[CartLine]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


def list_orders(user: Any) -> QuerySet[Order]:
    """The user's own orders; everybody's for support and admins; newest first, with lines and products."""
    orders = Order.objects.select_related("buyer").prefetch_related("lines__product").order_by("-id")
    return orders if shared.sees_everything(user) else orders.filter(buyer=user)
