"""Rows of every context for the tests of every context."""

from __future__ import annotations

from typing import Any

from monolith.catalog.models import Category, Product, Review, Seller
from monolith.identity.models import Role, SellerStaff, User
from monolith.inventory.models import StockItem, Warehouse

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
