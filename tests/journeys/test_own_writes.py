"""Whoever writes sees it at once, though the service answers and its rows don't follow at the moment."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from tests.journeys.person import Person
from tests.journeys.project import Project, until

PRODUCT = "/api/catalog/products/1/"  # of the seller that staff1 works for


@dataclass(frozen=True)
class Seen:
    """One answer: who gave it, the price in it, and all its headers."""

    home: str
    price: str
    headers: dict[str, str]


class Staff(Person):
    """staff1, who changes the price of their product and looks at it."""

    def __init__(self, gateway: str) -> None:
        super().__init__(gateway, "staff1")

    def price(self, price: str) -> Seen:
        """Change the product's price."""
        return self._seen("PATCH", {"price": price})

    def read(self) -> Seen:
        return self._seen("GET")

    def _seen(self, method: str, body: object = None) -> Seen:
        said = self.asks(method, PRODUCT, body)
        assert said.status == 200, said
        return Seen(said.home, said.json["price"], said.headers)


def read_with(gateway: str, **headers: str) -> Seen:
    """A read by a client that keeps no cookies."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(gateway + PRODUCT, headers=named), timeout=20) as answer:
        return Seen(answer.headers["x-strangler-home"], json.load(answer)["price"], {})


@contextmanager
def stopped(project: Project, name: str) -> Iterator[None]:
    """A process that stands still until the block ends."""
    pid = project.row(name)["pid"]
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


@pytest.fixture
def staff(switched: Project) -> Staff:
    until(lambda: switched.ask(PRODUCT).home == "catalog", "the service to answer")
    return Staff(switched.gateway)


def test_a_write_is_seen_at_once_while_the_follower_stands_still(switched: Project, staff: Staff) -> None:
    staff.price("10.10")
    until(lambda: read_with(switched.gateway).price == "10.10", "the service to have the price")

    with stopped(switched, "follower"):
        written = staff.price("20.20")
        assert "HttpOnly" in written.headers["set-cookie"]
        assert read_with(switched.gateway) == Seen("catalog", "10.10", {})  # what everybody else still sees

        seen = staff.read()
        assert (seen.home, seen.price) == ("monolith", "20.20")
        assert "x-strangler-behind" not in seen.headers

        # A client of the API with a token, by header or by a cookie of its own making.
        carried = {"authorization": staff.token(), "x_written": written.headers["x-written"]}
        assert read_with(switched.gateway, **carried).price == "20.20"
        carried = {
            "authorization": staff.token(),
            "cookie": f"strangler-written={written.headers['x-written']}",
        }
        assert read_with(switched.gateway, **carried).price == "20.20"

        for broken in ("garbage", "..", written.headers["x-written"][:-8] + "AAAAAAAA", "%00", "a" * 4000):
            for by in ({"x_written": broken}, {"cookie": f"strangler-written={broken}"}):
                assert read_with(switched.gateway, **by) == Seen("catalog", "10.10", {})

    until(lambda: staff.read().home == "catalog", "the service to have followed")
    assert staff.read().price == "20.20"


def test_by_a_page_and_on_a_page_too(switched: Project, staff: Staff) -> None:
    """The pages stay at the monolith, and ask the catalog at the gateway on their user's behalf."""
    ((name,),) = switched.on("monolith", "SELECT name FROM catalog_product WHERE id = 1")
    shop = f"/shop/?{urlencode({'q': name})}"
    staff.price("11.10")
    until(lambda: read_with(switched.gateway).price == "11.10", "the service to have the price")
    with stopped(switched, "follower"):
        staff.fills("/account/desk/", "/account/desk/1/", **{"p1-price": "22.20"})
        assert read_with(switched.gateway).price == "11.10"
        assert staff.read().price == "22.20"
        assert "22.20" in staff.page(shop)
        staff.price("33.30")
        assert "33.30" in staff.page(shop)
    until(lambda: staff.read().home == "catalog", "the service to have followed")


def test_on_the_way_back_to_a_canary_too(switched: Project, staff: Staff) -> None:
    """The last one here: the module's system is taken back to the monolith after it."""
    switched.does("reverse", "catalog.read", "--to", "canary=99")
    with stopped(switched, "follower"):
        staff.price("30.30")
        assert read_with(switched.gateway, x_strangler_use="service").price != "30.30"
        assert {staff.read().price for _ in range(5)} == {"30.30"}
