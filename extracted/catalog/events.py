"""What the catalog announces, in the transaction of the change; others read of it what they need.

A product's state travels whole with `entered` and `changed`, so that a subscriber can keep what it needs of
it and never has to ask. `restated` is the same state said once more, to those who weren't listening when it
came about: nothing has happened to the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import ClassVar, Self

from strangler.chassis import outbox
from strangler.chassis.envelope import Announcement

from .models import Product, Seller

CENT = Decimal("0.01")


@dataclass(frozen=True)
class _OfProduct:
    product: int

    @property
    def key(self) -> str:
        return f"product-{self.product}"


@dataclass(frozen=True)
class _ProductState(_OfProduct):
    sku: str
    name: str
    seller: int
    category: int
    status: str
    price: Decimal
    currency: str

    @classmethod
    def of(cls, product: Product) -> Self:
        return cls(
            product=product.pk,
            sku=product.sku,
            name=product.name,
            seller=product.seller_id,
            category=product.category_id,
            status=str(product.status),
            price=Decimal(product.price).quantize(CENT),
            currency=product.currency,
        )


class ProductEntered(_ProductState):
    type: ClassVar[str] = "catalog.product_entered.v1"


class ProductChanged(_ProductState):
    """Something other than the price."""

    type: ClassVar[str] = "catalog.product_changed.v1"


class ProductRestated(_ProductState):
    type: ClassVar[str] = "catalog.product_restated.v1"


@dataclass(frozen=True)
class ProductPriceChanged(_OfProduct):
    price: Decimal
    currency: str
    was: Decimal
    type: ClassVar[str] = "catalog.product_price_changed.v1"


@dataclass(frozen=True)
class ProductEdited(_OfProduct):
    """Somebody has entered or changed it, whatever that came to: for those who keep a trail."""

    by: int
    action: str
    type: ClassVar[str] = "catalog.product_edited.v1"


@dataclass(frozen=True)
class ProductDeleted(_OfProduct):
    """It is gone; whoever names it lets go of it, by a rule of their own."""

    type: ClassVar[str] = "catalog.product_deleted.v1"


@dataclass(frozen=True)
class _OfSeller:
    seller: int

    @property
    def key(self) -> str:
        return f"seller-{self.seller}"


@dataclass(frozen=True)
class _SellerState(_OfSeller):
    name: str
    country: str

    @classmethod
    def of(cls, seller: Seller) -> Self:
        return cls(seller.pk, seller.name, seller.country)


class SellerEntered(_SellerState):
    type: ClassVar[str] = "catalog.seller_entered.v1"


class SellerChanged(_SellerState):
    type: ClassVar[str] = "catalog.seller_changed.v1"


class SellerRestated(_SellerState):
    type: ClassVar[str] = "catalog.seller_restated.v1"


@dataclass(frozen=True)
class SellerDeleted(_OfSeller):
    """It is gone, and each of its products has said so before."""

    type: ClassVar[str] = "catalog.seller_deleted.v1"


def of_saved_product(before: Product | None, after: Product) -> Iterator[Announcement]:
    """What is to be announced of a product that was saved; `before` is None for one that is new."""
    if before is None:
        yield ProductEntered.of(after)
        return
    was, now = ProductChanged.of(before), ProductChanged.of(after)
    if was.price != now.price or was.currency != now.currency:
        yield ProductPriceChanged(after.pk, now.price, now.currency, was.price)
    if {**asdict(was), "price": now.price, "currency": now.currency} != asdict(now):
        yield now


def of_saved_seller(before: Seller | None, after: Seller) -> Iterator[Announcement]:
    """What is to be announced of a seller that was saved; `before` is None for one that is new."""
    if before is None:
        yield SellerEntered.of(after)
    elif SellerChanged.of(before) != (now := SellerChanged.of(after)):
        yield now


outbox.restates(
    "catalog.seller",
    rows=Seller.objects.all,
    say=SellerRestated.of,
    said_by=(SellerEntered, SellerChanged, SellerRestated),
)
outbox.restates(
    "catalog.product",
    rows=Product.objects.all,
    say=ProductRestated.of,
    said_by=(ProductEntered, ProductChanged, ProductRestated),
)
