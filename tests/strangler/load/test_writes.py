"""A load's writes are sent as a real client of the API sends them, counted, and read back at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from strangler import config as project
from strangler.errors import ConfigError, UsageError
from strangler.run.answers import Window, among, as_values
from strangler.run.load import LoadGenerator
from tests.strangler.load.test_load import TOKEN, TOML, Shop, open_shop

PRICE = """
[[load.requests]]
method = "PATCH"
path = "/api/rugs/{int:1:3}/"
json = { price = "{int:100:999}.50" }
users = ["ann", "bob"]
shows = "price"
"""
REVIEW = """
[[load.requests]]
method = "POST"
path = "/api/rugs/{int:1:3}/reviews/"
form = { rating = "{int:1:5}", text = "{choice:fine|garish}" }
users = ["bob"]
also = [400]
"""


class WritableShop(Shop):
    """Rugs whose price can be changed; `stale` keeps showing the old ones, `refuses` answers 400."""

    def __init__(self) -> None:
        super().__init__()
        self.prices: dict[str, str] = {}
        self.stale = False
        self.refuses = False
        self.forms: list[dict[str, str]] = []
        self.writing: dict[str, int] = {}
        self.most_writing = 0

    def application(self) -> web.Application:
        application = super().application()
        # aiohttp takes the first route that matches, and Shop's own takes every path.
        fresh = web.Application()
        fresh.router.add_patch("/api/rugs/{pk}/", self.change)
        fresh.router.add_get("/api/rugs/{pk}/", self.show)
        fresh.router.add_post("/api/rugs/{pk}/reviews/", self.review)
        for route in application.router.routes():
            fresh.router.add_route(
                route.method, route.resource.canonical.replace("{tail}", "{tail:.*}"), route.handler
            )
        return fresh

    def refused(self, request: web.Request) -> web.Response | None:
        proven = request.headers.get("X-CSRFToken") == TOKEN == request.cookies.get("csrftoken")
        if not proven or not request.cookies.get("sessionid"):
            return web.json_response({"detail": "CSRF Failed"}, status=403)
        return None

    async def change(self, request: web.Request) -> web.Response:
        if refusal := self.refused(request):
            return refusal
        user, pk = request.cookies["sessionid"], request.match_info["pk"]
        self.writing[user] = self.writing.get(user, 0) + 1
        self.most_writing = max(self.most_writing, *self.writing.values())
        await asyncio.sleep(0.02)
        price = (await request.json())["price"]
        if not self.stale:
            self.prices[pk] = price
        self.writing[user] -= 1
        return web.json_response({"price": price})

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response({"price": self.prices.get(request.match_info["pk"], "0.00")})

    async def review(self, request: web.Request) -> web.Response:
        if refusal := self.refused(request):
            return refusal
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        return web.json_response({}, status=400 if self.refuses else 201)


@pytest.fixture
def rugs() -> Iterator[tuple[WritableShop, str]]:
    opened = WritableShop()
    with open_shop(opened) as url:
        yield opened, url


def load(url: str, requests: str, **options: object) -> Window:
    config = project.parse(TOML + requests, Path("."))
    return asyncio.run(LoadGenerator(config, url, **{"rate": 40, **options}).run(0.5))


def test_a_write_is_sent_with_its_session_and_token_and_counted(rugs: tuple[WritableShop, str]) -> None:
    counted = load(rugs[1], REVIEW)
    assert (counted.requests, counted.failed, counted.writes, counted.read_back) == (20, 0, 20, 0)
    assert set(counted.routes) == {"POST /api/rugs/*/reviews/"}
    assert {form["rating"] for form in rugs[0].forms} <= set("12345")
    assert {form["text"] for form in rugs[0].forms} == {"fine", "garish"}


def test_a_refusal_that_is_expected_is_no_failure(rugs: tuple[WritableShop, str]) -> None:
    rugs[0].refuses = True
    assert load(rugs[1], REVIEW).failed == 0
    assert load(rugs[1], REVIEW.replace("also = [400]", "")).kinds == {"refused": 20}


def test_a_write_is_read_back_at_once_by_the_same_user(rugs: tuple[WritableShop, str]) -> None:
    counted = load(rugs[1], PRICE, users=["ann"])
    assert (counted.failed, counted.writes, counted.read_back) == (0, 20, 20)
    assert counted.requests == 40
    assert set(counted.routes) == {"PATCH /api/rugs/*/", "PATCH /api/rugs/*/, read back"}
    assert among(counted) == " (20 writes, 20 read back at once)"
    assert as_values(counted)["read_back"] == 20


def test_a_write_that_is_not_there_yet_is_a_stale_read(rugs: tuple[WritableShop, str]) -> None:
    rugs[0].stale = True
    counted = load(rugs[1], PRICE, users=["ann"])
    assert counted.kinds == {"stale read": 20}
    assert "0.00" in counted.failures[0].said


def test_a_user_writes_one_thing_after_the_other(rugs: tuple[WritableShop, str]) -> None:
    load(rugs[1], PRICE, users=["ann"], rate=200)
    assert rugs[0].most_writing == 1


def test_whoever_may_not_write_sends_reads_only(rugs: tuple[WritableShop, str]) -> None:
    reads = '[[load.requests]]\npath = "/api/rugs/1/"\n'
    counted = load(rugs[1], PRICE + reads, users=[""])
    assert (counted.writes, counted.failed) == (0, 0)
    assert counted.requests == 20
    with pytest.raises(UsageError, match="aren't among these"):
        load(rugs[1], PRICE, users=[""])


@pytest.mark.parametrize(
    ("text", "other", "said"),
    [
        ('users = ["ann", "bob"]\nshows', 'users = ["eve"]\nshows', "'eve', who isn't among 'users'"),
        ('method = "PATCH"', 'method = "GET"', "'shows' is for writes"),
        ('method = "PATCH"', 'method = "ALTER"', "not 'ALTER'"),
        ("json =", 'form = { a = "b" }\njson =', "not both"),
    ],
)
def test_a_write_that_makes_no_sense_is_refused(text: str, other: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        project.parse(TOML + PRICE.replace(text, other), Path("."))
