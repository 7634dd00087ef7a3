"""A client that has written something gets the owner's answer where the other home lacks the write."""

from __future__ import annotations

import pytest

from tests.strangler.envoy.edge import PRODUCTS, Edge

AHEAD = "strangler-written=ahead"
SERVICE = {"x-strangler-use": "service"}
CALLERS = [
    {"cookie": AHEAD},
    {"cookie": f"sessionid=s-anna; theme=dark; {AHEAD}"},
    {"cookie": AHEAD, "authorization": "Bearer own"},
    {"x-written": "ahead", "authorization": "Bearer own"},  # keeps no cookies
]


@pytest.mark.parametrize("phase", ["canary=1", "switched"])
@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_the_owner_answers_whoever_the_service_is_behind(
    edge: Edge, phase: str, caller: dict[str, str]
) -> None:
    edge.publish(phase)
    reply = edge.ask(headers=SERVICE | caller)
    assert (reply.status, reply.home) == (200, "monolith")
    assert reply.headers["x-strangler-behind"] is None
    without = {name: value.replace("ahead", "there") for name, value in caller.items()}
    assert edge.ask(headers=SERVICE | without).home == "catalog"


def test_whoever_has_written_is_told_apart_without_their_cookies(edge: Edge) -> None:
    edge.publish("switched")
    seen = edge.ask(headers={"cookie": "sessionid=s-anna; strangler-written=there"}).seen
    assert "cookie" not in seen  # the session is exchanged for a token
    assert (seen["x-written"], seen["authorization"]) == ("there", "Bearer token-of-anna")
    assert "x-written" not in edge.ask(headers={"cookie": "sessionid=s-anna"}).seen


def test_a_position_that_is_sent_back_as_a_header_goes_before_the_cookie(edge: Edge) -> None:
    edge.publish("switched")
    seen = edge.ask(headers={"cookie": AHEAD, "x-written": "there"}).seen
    assert seen["x-written"] == "there"


def test_being_behind_does_not_make_a_service_ill(own_edge: Edge) -> None:
    own_edge.publish("switched")
    for _ in range(30):
        assert own_edge.ask(headers={"cookie": AHEAD}).home == "monolith"
        assert own_edge.ask().home == "catalog"


def test_without_its_owner_a_read_is_refused_rather_than_old(own_edge: Edge) -> None:
    own_edge.publish("switched")
    own_edge.kill("monolith")
    reply = own_edge.ask(headers={"cookie": AHEAD})
    assert reply.status in (421, 503)
    assert reply.headers["x-strangler-behind"] is None
    assert own_edge.ask().home == "catalog"


def test_no_client_says_of_itself_that_a_home_is_behind(edge: Edge) -> None:
    edge.publish("switched")
    assert "x-strangler-behind" not in edge.ask(PRODUCTS, {"x-strangler-behind": "1"}).seen
