"""Provider states: sentences that consumers' pacts share, each brought about here for whichever home runs.

What differs between the homes is how a row is made (`tests/contexts/catalog/rows.py` finds the home's models,
and users where there are any) and who signs tokens (`provider.py` gives both homes a key). Everything that a
clock or a sequence would choose is fixed, so that both homes' answers can be held against each other.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from django.db import connection

from strangler.chassis.identity import Caller
from tests.contexts.catalog.rows import a_category, a_person, a_product, a_review, model

A_MONDAY = datetime.datetime(2026, 1, 5, 9, 30, tzinfo=datetime.UTC)
TABLES = ("catalog_review", "catalog_product", "catalog_category", "catalog_seller")

State = Callable[..., "dict[str, Any] | None"]
STATES: dict[str, State] = {}


def state(sentence: str) -> Callable[[State], State]:
    def register(bring_about: State) -> State:
        STATES[sentence] = bring_about
        return bring_about

    return register


def forget_everything() -> None:
    """The state in which every interaction begins: nothing is for sale."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE")


# ── What is for sale ─────────────────────────────────────────────────────────────────────────────


@state("a product exists")
def a_product_exists(
    *, id: int, sku: str, name: str, price: str = "12.50", status: str = "active", in_stock: bool = True
) -> None:
    """On the shelf Discs, in the department Brakes, sold by Rugs and Rotors; nobody has rated it."""
    discs = a_category("Discs", parent=a_category("Brakes"))
    fields = {"name": name, "price": price, "status": status, "in_stock": in_stock, "category": discs}
    a_product(sku, id=id, slug=sku.lower(), description="Ties the room together.", **fields)
    _stop_the_clock()


@state("a product has a review")
def a_product_has_a_review(*, product: int, rating: int, text: str) -> None:
    a_review(model("Product").objects.get(pk=product), author="ada", rating=rating, text=text)
    # As the receivers of the owner keep it, wherever this runs.
    model("Product").objects.filter(pk=product).update(rating_average=rating, rating_count=1)
    _stop_the_clock()


@state("there are shelves")
def there_are_shelves() -> None:
    """Discs stand in Brakes; Engine stands alone."""
    a_category("Discs", parent=a_category("Brakes"))
    a_category("Engine")


@state("nothing is for sale")
def nothing_is_for_sale() -> None:
    pass


# ── Who asks ─────────────────────────────────────────────────────────────────────────────────────


@state("ordering asks in its own name")
def ordering_asks() -> dict[str, Any]:
    return {"authorization": authorization(Caller("ordering", "support"))}


@state("a buyer asks")
def a_buyer_asks() -> dict[str, Any]:
    return {"authorization": authorization(Caller(str(a_person("ada")), "buyer"))}


def authorization(caller: Caller) -> str:
    """A header that both homes believe."""
    from strangler.chassis.identity import sign

    from .provider import signing_key

    return f"Bearer {sign(caller, signing_key(), lifetime=600)}"


def _stop_the_clock() -> None:
    model("Product").objects.update(created_at=A_MONDAY, updated_at=A_MONDAY)
    model("Seller").objects.update(created_at=A_MONDAY)
    model("Review").objects.update(created_at=A_MONDAY)
