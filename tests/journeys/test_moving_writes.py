"""The catalog's writes move to the service and back: its API, its rows, its events and what it hears."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from strangler.run import system as running
from tests.journeys.person import Person, with_token
from tests.journeys.project import PATIENCE, Project, until

NAME = "catalog.write"
PRODUCT = "/api/catalog/products/1/"  # of the seller that staff1 works for
ADDRESS = {
    "name": "Ada Abel",
    "street": "Mill Lane 7",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
}


class Databases:
    """SQL on both homes' databases."""

    def __init__(self, project: Project) -> None:
        system = running.load(project.root)
        assert system
        self._urls = system.databases

    def one(self, home: str, statement: str, *values: object) -> object:
        with psycopg.connect(self._urls[home], autocommit=True) as database:
            found = database.execute(statement, values).fetchone()
            return found[0] if found else None


@pytest.fixture
def replicating(system: Project) -> Iterator[Project]:
    with system.configured("switch", "switch = { quiet = 2, fence = 10, soak = 1 }"):
        system.does("apply", NAME, "replicate", timeout=2 * PATIENCE)
        yield system
        (standing,) = (one for one in system.does("status", "--json").json if one["capability"] == NAME)
        if standing["phase"] == "switched":
            system.does("reverse", NAME)
        system.does("cancel", NAME)


def moves(project: Project, *command: str) -> None:
    project.does(*command, timeout=2 * PATIENCE)


def test_the_catalogs_writes_move_to_the_service_and_back(replicating: Project) -> None:
    gateway, sql = replicating.gateway, Databases(replicating)
    staff, admin, buyer = (Person(gateway, name) for name in ("staff1", "admin", "buyer2"))
    sold = "SELECT units_sold FROM catalog_product WHERE id = 10"
    before, new = sql.one("monolith", sold), []

    def is_owned_by(home: str, other: str, price: str) -> None:
        written = staff.asks("PATCH", PRODUCT, {"price": price})
        assert (written.status, written.home) == (200, home)
        assert staff.asks("GET", PRODUCT).json["price"] == price  # whoever is asked
        refused = staff.asks("PATCH", PRODUCT, {"price": "1.00"}, **{"X-CSRFToken": "forged"})
        assert refused.status == 403

        product = {
            "sku": f"NEW-AT-{home}",
            "name": "New",
            "seller": 1,
            "category": 1,
            "price": "8",
            "weight": "1",
        }
        entered = with_token(gateway, admin.token(), "POST", "/api/catalog/products/", product)
        assert (entered.status, entered.home) == (201, home)
        new.append(entered.json["id"])
        reviewed = buyer.asks("POST", f"/api/catalog/products/{new[-1]}/reviews/", {"rating": 5})
        assert reviewed.status == 404  # a draft isn't there for a buyer
        assert buyer.asks("POST", f"{PRODUCT}reviews/", {"rating": 7}).status == 400

        # What it announces is heard where it always was; what it hears is counted by whoever owns the rows.
        heard = "SELECT count(*) FROM ordering_auditentry WHERE object_id = %s AND action = 'product created'"
        until(lambda: sql.one("monolith", heard, new[-1]) == 1, "the audit to be written")
        known = "SELECT price::text FROM reporting_knownproduct WHERE id = 1"
        until(lambda: sql.one("monolith", known) == price, "reporting to know the price")
        buyer.asks("PUT", "/api/ordering/cart/10/", {"quantity": 1})
        assert buyer.asks("POST", "/api/ordering/orders/", {"address": ADDRESS}).status == 201
        until(lambda: sql.one(home, sold) == before + len(new), "the sale to be counted")
        until(lambda: sql.one(other, sold) == before + len(new), "the count to follow")

        with pytest.raises(psycopg.Error, match=f"belong to {home}"):
            sql.one(other, "UPDATE catalog_product SET price = 1 WHERE id = 1 RETURNING 1")

    moves(replicating, "apply", NAME, "switched", "--wait", "60")
    is_owned_by("catalog", "monolith", "61.10")
    moves(replicating, "reverse", NAME)
    is_owned_by("monolith", "catalog", "62.20")
    moves(replicating, "apply", NAME, "switched", "--wait", "60")
    assert staff.asks("PATCH", PRODUCT, {"price": "63.30"}).home == "catalog"
    assert new == sorted(set(new))
    rows = (
        "SELECT string_agg(concat_ws(' ', id, sku, price, units_sold), ',' ORDER BY id) FROM catalog_product"
    )
    until(lambda: sql.one("monolith", rows) == sql.one("catalog", rows), "the rows to be equal")
