"""What reporting reads of the catalog's events, by the handlers that run in production"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pact import Pact, match

from monolith.reporting import handlers
from monolith.reporting.models import KnownProduct
from strangler.chassis import envelope
from tests.contracts.writing import Consumer

reporting = Consumer("reporting", "catalog.events")

RUG = {"id": 7, "sku": "GARISH-RUG", "name": "Garish Rug"}
PRICE = match.regex("12.50", regex=r"^\d+\.\d{2}$")
CURRENCY = match.regex("EUR", regex="^[A-Z]{3}$")

pytestmark = pytest.mark.django_db


def headers(wire_type: str) -> dict[str, Any]:
    """What reporting needs of the envelope: CloudEvents' attributes, by their names at a broker."""
    return {
        "ce-specversion": "1.0",
        "ce-type": wire_type,
        "ce-id": match.regex("7f1de9a4-9c6e-4b3a-8a9c-0a4f6d1d2b11", regex="^[0-9a-f-]{36}$"),
        "ce-source": match.regex("/marketplace/catalog", regex="^/.+/catalog$"),
        "ce-partitionkey": match.regex("product-7", regex=r"^product-\d+$"),
    }


def state(name: str) -> dict[str, Any]:
    """What reporting keeps of a product."""
    return {
        "product": match.int(7),
        "sku": match.str("GARISH-RUG"),
        "name": match.str(name),
        "seller": match.int(1),
        "price": PRICE,
        "currency": CURRENCY,
    }


@reporting.hears
def entered(pact: Pact) -> None:
    (
        pact.upon_receiving("the catalog's word that a product was entered", "Async")
        .given("a product exists", **RUG)
        .with_metadata(headers("catalog.product_entered.v1"))
        .with_body(state("Garish Rug"), "application/json")
    )


@reporting.hears
def renamed(pact: Pact) -> None:
    (
        pact.upon_receiving("the catalog's word that a product has another name", "Async")
        .given("a product exists", **RUG)
        .with_metadata(headers("catalog.product_changed.v1"))
        .with_body(state("Garish Runner"), "application/json")
    )


@reporting.hears
def repriced(pact: Pact) -> None:
    (
        pact.upon_receiving("the catalog's word that a product has another price", "Async")
        .given("a product exists", **RUG)
        .with_metadata(headers("catalog.product_price_changed.v1"))
        .with_body({"product": match.int(7), "price": PRICE, "currency": CURRENCY}, "application/json")
    )


@reporting.hears
def gone(pact: Pact) -> None:
    (
        pact.upon_receiving("the catalog's word that a product is gone", "Async")
        .given("a product exists", **RUG)
        .with_metadata(headers("catalog.product_deleted.v1"))
        .with_body({"product": match.int(7)}, "application/json")
    )


def handle(body: Any, metadata: dict[str, Any]) -> None:
    """As the consumer process does: read the envelope, find the handler, let it have its effect."""
    given = {str(name): str(value) for name, value in metadata.items() if str(name).startswith("ce-")}
    raw = body if isinstance(body, bytes) else str(body).encode()
    handlers.sales.handle(envelope.read(envelope.Message(given, "application/json", raw)))


def test_a_product_that_was_entered_is_known() -> None:
    reporting.heard(entered, handle)
    product = KnownProduct.objects.get()
    assert (product.pk, product.sku, str(product.price), product.gone) == (7, "GARISH-RUG", "12.50", False)


def test_another_name_is_kept() -> None:
    reporting.heard(renamed, handle)
    assert KnownProduct.objects.get().name == "Garish Runner"


def test_another_price_is_kept() -> None:
    KnownProduct.objects.create(id=7, sku="GARISH-RUG", name="Garish Rug", seller_id=1, price="1.00")
    reporting.heard(repriced, handle)
    assert str(KnownProduct.objects.get().price) == "12.50"


def test_what_is_gone_is_written_off() -> None:
    reporting.heard(gone, handle)
    assert KnownProduct.objects.get().gone


def test_the_committed_pact_is_what_reporting_reads(tmp_path: Path) -> None:
    reporting.check_committed(tmp_path)
