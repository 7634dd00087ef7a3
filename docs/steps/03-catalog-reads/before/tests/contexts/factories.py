"""Rows of every context for the tests of every context."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone

from monolith.catalog.models import Category, Product, Review, Seller
from monolith.identity.models import Role, SellerStaff, User
from monolith.inventory.models import StockItem, Warehouse
from monolith.ordering.models import Order
from monolith.promotions.models import Offer, Voucher

ADDRESS = {
    "name": "Ada Abel",
    "street": "Mill Lane 7",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}


def a_user(name: str = "ada", role: str = Role.BUYER, **fields: Any) -> User:
    user, _ = User.objects.get_or_create(
        username=name, defaults={"role": role, "email": f"{name}@marketplace.example"} | fields
    )
    return user


def a_seller(name: str = "Rugs and Rotors", staff: tuple[User, ...] = ()) -> Seller:
    seller, _ = Seller.objects.get_or_create(
        slug=name.lower().replace(" ", "-"), defaults={"name": name, "country": "DE"}
    )
    for user in staff:
        SellerStaff.objects.get_or_create(user=user, seller=seller)
    return seller


def a_category(name: str = "Brakes", parent: Category | None = None) -> Category:
    category, _ = Category.objects.get_or_create(
        slug=name.lower().replace(" ", "-"), defaults={"name": name, "parent": parent}
    )
    return category


def a_product(sku: str = "GARISH-RUG", **fields: Any) -> Product:
    defaults = {
        "name": sku.replace("-", " ").title(),
        "price": "12.50",
        "weight": "0.500",
        "status": "active",
    }
    fields.setdefault("seller", None)
    fields["seller"] = fields["seller"] or a_seller()
    fields.setdefault("category", a_category())
    return Product.objects.create(sku=sku, **defaults | fields)


def a_review(
    product: Product, author: User, rating: int = 4, text: str = "Ties the room together."
) -> Review:
    return Review.objects.create(product=product, author=author, rating=rating, text=text)


def stock_of(product: Product, quantity: int, warehouse: str = "HAM") -> StockItem:
    place, _ = Warehouse.objects.get_or_create(code=warehouse, defaults={"name": warehouse})
    return StockItem.objects.create(product=product, warehouse=place, quantity=quantity)


def a_voucher(code: str = "GARISH-20", **fields: Any) -> Voucher:
    """Twenty percent off, for a day before and after now."""
    return Voucher.objects.create(
        code=code, **_now_valid("valid_from", "valid_until") | {"percent": 20} | fields
    )


def an_offer(product: Product, **fields: Any) -> Offer:
    """Ten percent off, for a day before and after now."""
    return Offer.objects.create(
        product=product, **_now_valid("starts_at", "ends_at") | {"percent": 10} | fields
    )


def _now_valid(start: str, end: str) -> dict[str, Any]:
    day = datetime.timedelta(days=1)
    return {start: timezone.now() - day, end: timezone.now() + day}


def an_order(client: Any, product: Product, quantity: int = 1, **more: Any) -> Order:
    """What a signed-in client of the API orders; `more` goes into the request."""
    client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": quantity})
    answer = client.post("/api/ordering/orders/", {"address": ADDRESS} | more)
    assert answer.status_code == 201, answer.content
    return Order.objects.get(pk=answer.json()["id"])
