"""Reads of ordering: the session's cart, and the orders that somebody may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from .. import shared
from ..promotions.models import Offer
from ..promotions.selectors import get_offers_of
from .anticorruption import Article, catalog
from .models import Order

CART = "cart"  # the session's key: {"<product id>": quantity}


@dataclass(frozen=True)
class CartLine:
    """An article in the cart, at today's price; an offer makes it cheaper."""

    article: Article
    quantity: int
    offer: Offer | None = None

    @property
    def unit_price(self) -> Decimal:
        return self.offer.price if self.offer else self.article.price

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price


def list_cart_lines(session: Mapping[str, Any]) -> list[CartLine]:
    """The cart's lines, in the order of the articles' ids; what is gone is left out. Raises CatalogAway."""
    cart: dict[str, int] = session.get(CART, {})
    if not cart:
        return []
    articles = catalog().list_articles([int(one) for one in cart])
    offers = get_offers_of(cart)  # entangled: what a line costs is decided by promotions' rows
    return [CartLine(article, cart[str(article.id)], offers.get(article.id)) for article in articles]


def get_cart_total(lines: list[CartLine]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


def list_orders(user: Any) -> QuerySet[Order]:
    """The user's own orders; everybody's for support and admins; newest first, with lines and products."""
    orders = Order.objects.select_related("buyer").prefetch_related("lines__product").order_by("-id")
    return orders if shared.sees_everything(user) else orders.filter(buyer=user)
