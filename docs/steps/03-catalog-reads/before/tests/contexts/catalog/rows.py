"""Rows of the catalog, made through whichever home the process meets."""

from __future__ import annotations

from typing import Any

from django.apps import apps


def model(name: str) -> Any:
    """A model of the catalog by its name, from the home that is here."""
    return apps.get_app_config("catalog").get_model(name)


def a_person(name: str = "ada", role: str = "buyer") -> int:
    """A user's id. Where identity lives elsewhere, any number is a user."""
    if "identity" not in apps.app_configs:
        return sum(name.encode())
    users = apps.get_app_config("identity").get_model("User").objects
    known = {"role": role, "email": f"{name}@example.com", "first_name": name.title()}
    return users.get_or_create(username=name, defaults=known)[0].pk


def an_employment(person: int, seller: Any) -> None:
    """Somebody works for a seller: where identity lives, its rows say so; elsewhere the token alone does."""
    if "identity" in apps.app_configs:
        employments = apps.get_app_config("identity").get_model("SellerStaff").objects
        employments.get_or_create(user_id=person, seller_id=seller.pk)


def a_seller(name: str = "Rugs and Rotors", **fields: Any) -> Any:
    slug = name.lower().replace(" ", "-")
    return model("Seller").objects.get_or_create(
        slug=slug, defaults={"name": name, "country": "DE"} | fields
    )[0]


def a_category(name: str = "Brakes", parent: Any = None) -> Any:
    slug = name.lower().replace(" ", "-")
    return model("Category").objects.get_or_create(slug=slug, defaults={"name": name, "parent": parent})[0]


def a_product(sku: str = "GARISH-RUG", **fields: Any) -> Any:
    defaults = {
        "name": sku.replace("-", " ").title(),
        "price": "12.50",
        "weight": "0.500",
        "status": "active",
    }
    rows = {"seller": fields.pop("seller", None) or a_seller(), "category": fields.pop("category", None)}
    rows["category"] = rows["category"] or a_category()
    return model("Product").objects.create(sku=sku, **rows, **defaults | fields)


def a_review(
    product: Any, author: str = "ada", rating: int = 4, text: str = "Ties the room together."
) -> Any:
    return model("Review").objects.create(
        product=product, author_id=a_person(author), rating=rating, text=text
    )
