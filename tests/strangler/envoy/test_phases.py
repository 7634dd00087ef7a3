"""Who answers in each phase, through a real Envoy."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.strangler.envoy.edge import PRODUCTS, Edge

SERVICE, MONOLITH = {"x-strangler-use": "service"}, {"x-strangler-use": "monolith"}
USERS = [f"user{number}" for number in range(120)]


@pytest.mark.parametrize("phase", ["monolith", "shadow"])
def test_the_monolith_answers_before_the_canary(edge: Edge, phase: str) -> None:
    edge.publish(phase)
    for headers in ({}, {"cookie": "sessionid=s-anna"}, {"authorization": "Bearer own"}, SERVICE):
        assert edge.ask(headers=headers).home == "monolith"


def test_the_service_answers_everybody_once_switched(edge: Edge) -> None:
    edge.publish("switched")
    for headers in ({}, {"cookie": "sessionid=s-anna"}, {"authorization": "Bearer own"}, MONOLITH):
        assert edge.ask(headers=headers).home == "catalog"
    assert edge.ask(PRODUCTS + "17/").home == "catalog"
    assert edge.ask(PRODUCTS + "?page=2").home == "catalog"
    assert edge.ask(method="HEAD").home == "catalog"


@pytest.mark.parametrize("phase", ["shadow", "canary=99", "switched"])
def test_what_no_capability_claims_stays_in_the_monolith(edge: Edge, phase: str) -> None:
    edge.publish(phase)
    for path in ("/", "/shop/products/17/", PRODUCTS + "GARISH-RUG/", PRODUCTS[:-1], "/x" + PRODUCTS):
        reply = edge.ask(path, SERVICE)
        assert (reply.home, reply.headers["x-strangler-capability"]) == ("monolith", None), path
    assert edge.ask(method="POST", headers=SERVICE).home == "monolith"


def test_a_greater_share_keeps_the_users_of_the_smaller_one(edge: Edge) -> None:
    moved: set[str] = set()
    for percent in (10, 25, 26, 60, 95):
        edge.publish(f"canary={percent}")
        served = {user for user in USERS if edge.home_of(user) == "catalog"}
        assert moved <= served, f"{sorted(moved - served)} fell back at {percent} %"
        assert abs(len(served) - 1.2 * percent) <= 22, f"{len(served)} of 120 users at {percent} %"
        moved = served
    edge.publish("switched")
    assert {edge.home_of(user) for user in USERS[:20]} == {"catalog"}


@pytest.mark.parametrize(
    "header", ["authorization: Bearer token{}", "cookie: sessionid=s-{}", "cookie: strangler-canary=id{}"]
)
def test_a_user_keeps_a_home(edge: Edge, header: str) -> None:
    edge.publish("canary=50")
    name, _, value = header.partition(": ")
    homes = Counter()
    for user in range(20):
        seen = {edge.ask(headers={name: value.format(user)}).home for _ in range(4)}
        assert len(seen) == 1
        homes[seen.pop()] += 1
    assert set(homes) == {"monolith", "catalog"}


def test_a_caller_without_anything_gets_a_cookie_and_keeps_the_home_of_the_first_answer(edge: Edge) -> None:
    edge.publish("canary=50")
    homes = Counter()
    for _ in range(20):
        first = edge.ask()
        cookie = first.headers["set-cookie"]
        assert cookie.startswith(f"strangler-canary={first.headers['x-request-id']};")
        again = edge.ask(headers={"cookie": cookie.partition(";")[0]})
        assert again.home == first.home
        assert again.headers["set-cookie"] is None
        homes[first.home] += 1
    assert set(homes) == {"monolith", "catalog"}


@pytest.mark.parametrize("phase", ["monolith", "shadow", "switched"])
def test_no_cookie_is_given_outside_the_canary(edge: Edge, phase: str) -> None:
    edge.publish(phase)
    assert edge.ask().headers["set-cookie"] is None


def test_a_tester_chooses_in_the_canary(edge: Edge) -> None:
    edge.publish("canary=1")
    for who in ({}, {"cookie": "sessionid=s-anna"}, {"authorization": "Bearer own"}):
        assert edge.ask(headers=who | SERVICE).home == "catalog"
    edge.publish("canary=99")
    for who in ({}, {"cookie": "sessionid=s-anna"}, {"authorization": "Bearer own"}):
        assert edge.ask(headers=who | MONOLITH).home == "monolith"
    assert edge.ask(headers=SERVICE).headers["x-strangler-capability"] == "catalog.read"
