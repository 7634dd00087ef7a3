"""What ordering asks of catalog.read, by the adapter that it uses in production"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import AnonymousUser
from pact import Pact, match

from monolith.ordering.anticorruption import Article, OverHttp
from tests.contracts.writing import Consumer, bearer

ordering = Consumer("ordering", "catalog.read")

BUYER = SimpleNamespace(pk=7, role="buyer", display_name="Ada", is_authenticated=True)
PRICE = match.regex("12.50", regex=r"^\d+\.\d{2}$")


def card(number: int, sku: str, name: str, status: str = "active") -> dict[str, Any]:
    """What ordering reads of a product; there may be more, which it passes on."""
    return {
        "id": number,
        "sku": sku,
        "name": name,
        "status": status,
        "price": PRICE,
        "currency": match.regex("EUR", regex="^[A-Z]{3}$"),
        "in_stock": match.bool(True),
        "seller": {"name": match.str("Rugs and Rotors")},
        "category": {"slug": match.regex("discs", regex="^[-a-z0-9]+$")},
    }


def article(number: int, sku: str, name: str, *, is_offered: bool = True) -> Article:
    return Article(
        number, sku, name, Decimal("12.50"), "EUR", is_offered, True, "Rugs and Rotors", "discs", card={}
    )


@ordering.asks
def a_product_for_a_buyer(pact: Pact) -> None:
    (
        pact.upon_receiving("a buyer's question for a product that is for sale")
        .given("a product exists", id=7, sku="GARISH-RUG", name="Garish Rug")
        .given("a buyer asks")
        .with_request("GET", "/api/catalog/products/7/")
        .with_header("Authorization", bearer())
        .will_respond_with(200)
        .with_body(card(7, "GARISH-RUG", "Garish Rug"), "application/json")
    )


@ordering.asks
def a_product_for_a_visitor(pact: Pact) -> None:
    (
        pact.upon_receiving("a visitor's question for a product that is for sale")
        .given("a product exists", id=7, sku="GARISH-RUG", name="Garish Rug")
        .with_request("GET", "/api/catalog/products/7/")
        .will_respond_with(200)
        .with_body(card(7, "GARISH-RUG", "Garish Rug"), "application/json")
    )


@ordering.asks
def a_draft_for_a_visitor(pact: Pact) -> None:
    (
        pact.upon_receiving("a visitor's question for a draft")
        .given("a product exists", id=8, sku="HUMBLE-RUG", name="Humble Rug", status="draft")
        .with_request("GET", "/api/catalog/products/8/")
        .will_respond_with(404)
    )


@ordering.asks
def a_cart(pact: Pact) -> None:
    (
        pact.upon_receiving("ordering's question for what is in a cart, by ids")
        .given("a product exists", id=7, sku="GARISH-RUG", name="Garish Rug")
        .given("a product exists", id=8, sku="HUMBLE-RUG", name="Humble Rug", status="retired")
        .given("ordering asks in its own name")
        .with_request("GET", "/api/catalog/products/")
        .with_query_parameters({"ids": "7,8,9"})
        .with_header("Authorization", bearer())
        .will_respond_with(200)
        .with_body(
            {
                "results": [
                    card(7, "GARISH-RUG", "Garish Rug"),
                    card(8, "HUMBLE-RUG", "Humble Rug", status="retired"),
                ]
            },
            "application/json",
        )
    )


@ordering.asks
def shelves(pact: Pact) -> None:
    (
        pact.upon_receiving("ordering's question for the departments of shelves")
        .given("there are shelves")
        .with_request("GET", "/api/catalog/categories/")
        .will_respond_with(200)
        .with_body(
            [
                {"slug": "brakes", "parent": None},
                {"slug": "discs", "parent": "brakes"},
                {"slug": "engine", "parent": None},
            ],
            "application/json",
        )
    )


def test_a_buyer_sees_a_product() -> None:
    with ordering.served(a_product_for_a_buyer) as url:
        assert OverHttp(url).get_article(BUYER, 7) == article(7, "GARISH-RUG", "Garish Rug")


def test_a_visitor_sees_a_product() -> None:
    with ordering.served(a_product_for_a_visitor) as url:
        assert OverHttp(url).get_article(AnonymousUser(), 7) == article(7, "GARISH-RUG", "Garish Rug")


def test_a_visitor_sees_no_draft() -> None:
    with ordering.served(a_draft_for_a_visitor) as url:
        assert OverHttp(url).get_article(AnonymousUser(), 8) is None


def test_a_cart_knows_what_is_no_longer_offered() -> None:
    with ordering.served(a_cart) as url:
        assert OverHttp(url).list_articles([9, 8, 7]) == [
            article(7, "GARISH-RUG", "Garish Rug"),
            article(8, "HUMBLE-RUG", "Humble Rug", is_offered=False),
        ]


def test_shelves_stand_in_departments() -> None:
    with ordering.served(shelves) as url:
        assert OverHttp(url).get_departments() == {"brakes": "brakes", "discs": "brakes", "engine": "engine"}


def test_the_committed_pact_is_what_ordering_asks_for(tmp_path: Path) -> None:
    ordering.check_committed(tmp_path)
