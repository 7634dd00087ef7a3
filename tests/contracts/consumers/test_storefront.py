"""What the shop's page asks of catalog.read, by the adapter that it uses in production"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import AnonymousUser
from pact import Pact, match

from monolith.storefront import Card, OverHttp, Shelf, Shop, Wanted
from tests.contracts.writing import Consumer, bearer

storefront = Consumer("storefront", "catalog.read")

BUYER = SimpleNamespace(pk=7, role="buyer", display_name="Ada", is_authenticated=True)
RUG = {"id": 7, "sku": "GARISH-RUG", "name": "Garish Rug"}


def shown(**fields: Any) -> dict[str, Any]:
    """What the shop reads of a product."""
    return {
        "id": match.int(7),
        "name": match.str("Garish Rug"),
        "seller": {"name": match.str("Rugs and Rotors")},
        "category": {"slug": match.regex("discs", regex="^[-a-z0-9]+$")},
        "price": match.regex("12.50", regex=r"^\d+\.\d{2}$"),
        "currency": match.regex("EUR", regex="^[A-Z]{3}$"),
        "status": match.regex("active", regex="^(draft|active|retired)$"),
        "in_stock": match.bool(True),
        "rating_average": None,
        "rating_count": match.int(0),
    } | fields


def card(**fields: Any) -> Card:
    values: dict[str, Any] = {
        "pk": 7, "name": "Garish Rug", "shop": "Rugs and Rotors", "shelf": "discs", "price": Decimal("12.50"),
        "currency": "EUR", "status": "active", "in_stock": True, "rating_average": None, "rating_count": 0,
    }  # fmt: skip
    return Card(**values | fields)


@storefront.asks
def the_front_page(pact: Pact) -> None:
    (
        pact.upon_receiving("a visitor's question for what is for sale")
        .given("a product exists", **RUG)
        .with_request("GET", "/api/catalog/products/")
        .will_respond_with(200)
        .with_body({"count": match.int(1), "results": [shown()]}, "application/json")
    )


@storefront.asks
def what_buyers_think(pact: Pact) -> None:
    (
        pact.upon_receiving("a buyer's question for a shelf's products with that word, by price")
        .given("a product exists", **RUG)
        .given("a product has a review", product=7, rating=4, text="Ties the room together.")
        .given("a buyer asks")
        .with_request("GET", "/api/catalog/products/")
        .with_query_parameters({"category": "brakes", "q": "rug", "ordering": "-price"})
        .with_header("Authorization", bearer())
        .will_respond_with(200)
        .with_body(
            {
                "count": match.int(1),
                "results": [
                    shown(rating_average=match.regex("4.00", regex=r"^\d\.\d{2}$"), rating_count=match.int(1))
                ],
            },
            "application/json",
        )
    )


@storefront.asks
def a_page_too_far(pact: Pact) -> None:
    (
        pact.upon_receiving("a visitor's question for a page that there isn't")
        .given("a product exists", **RUG)
        .with_request("GET", "/api/catalog/products/")
        .with_query_parameters({"page": "2"})
        .will_respond_with(404)
    )


@storefront.asks
def shelves(pact: Pact) -> None:
    (
        pact.upon_receiving("the shop's question for its shelves")
        .given("there are shelves")
        .with_request("GET", "/api/catalog/categories/")
        .will_respond_with(200)
        .with_body(
            [
                {"slug": "brakes", "name": "Brakes", "parent": None},
                {"slug": "discs", "name": "Discs", "parent": "brakes"},
                {"slug": "engine", "name": "Engine", "parent": None},
            ],
            "application/json",
        )
    )


@storefront.asks
def a_seller(pact: Pact) -> None:
    (
        pact.upon_receiving("the shop's question for a seller, by its slug")
        .given("a product exists", **RUG)
        .with_request("GET", "/api/catalog/sellers/")
        .with_query_parameters({"slug": "rugs-and-rotors"})
        .will_respond_with(200)
        .with_body(
            {
                "results": [
                    {"slug": "rugs-and-rotors", "name": "Rugs and Rotors", "description": match.str("")}
                ]
            },
            "application/json",
        )
    )


@storefront.asks
def nobodys_shop(pact: Pact) -> None:
    (
        pact.upon_receiving("the shop's question for a seller whom nobody knows")
        .given("nothing is for sale")
        .with_request("GET", "/api/catalog/sellers/")
        .with_query_parameters({"slug": "nobody"})
        .will_respond_with(200)
        .with_body({"results": []}, "application/json")
    )


def test_a_visitor_sees_what_is_for_sale() -> None:
    with storefront.served(the_front_page) as url:
        page = OverHttp(url).show(AnonymousUser(), Wanted())
        assert (list(page), page.paginator.count) == ([card()], 1)


def test_a_buyer_sees_what_others_think_of_it() -> None:
    with storefront.served(what_buyers_think) as url:
        wanted = Wanted(category="brakes", text="rug", ordering="-price")
        assert list(OverHttp(url).show(BUYER, wanted)) == [
            card(rating_average=Decimal("4.00"), rating_count=1)
        ]


def test_a_page_that_there_is_not_is_no_failure() -> None:
    with storefront.served(a_page_too_far) as url:
        from strangler.chassis.identity import ANONYMOUS

        assert OverHttp(url)._page(ANONYMOUS, Wanted(), 2) is None


def test_shelves_stand_in_departments() -> None:
    with storefront.served(shelves) as url:
        assert OverHttp(url).list_shelves() == [
            Shelf("brakes", "Brakes", "brakes"),
            Shelf("discs", "Discs", "brakes"),
            Shelf("engine", "Engine", "engine"),
        ]


def test_a_seller_has_a_shop() -> None:
    with storefront.served(a_seller) as url:
        assert OverHttp(url).find_shop("rugs-and-rotors") == Shop("rugs-and-rotors", "Rugs and Rotors", "")


def test_who_sells_nothing_has_none() -> None:
    with storefront.served(nobodys_shop) as url:
        assert OverHttp(url).find_shop("nobody") is None


def test_the_committed_pact_is_what_the_shop_asks_for(tmp_path: Path) -> None:
    storefront.check_committed(tmp_path)
