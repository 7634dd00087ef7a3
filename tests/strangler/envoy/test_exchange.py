"""A session becomes a token on the way to the service, and only there."""

from __future__ import annotations

import pytest

from tests.strangler.envoy.edge import Edge

ANNA = {"cookie": "theme=dark; sessionid=s-anna"}
TOKENS = "/api/identity/token/"
TESTER = {"x-strangler-use": "service"}


@pytest.mark.parametrize(("phase", "extra"), [("switched", {}), ("canary=1", TESTER)])
def test_the_service_sees_the_token_and_not_the_session(
    edge: Edge, phase: str, extra: dict[str, str]
) -> None:
    edge.publish(phase)
    reply = edge.ask(headers=ANNA | extra | {"authorization": "Basic YTpi"})
    assert reply.home == "catalog"
    assert reply.seen["authorization"] == "Bearer token-of-anna"
    assert "cookie" not in reply.seen


def test_only_the_share_of_the_service_is_exchanged_in_a_canary(edge: Edge) -> None:
    edge.publish("canary=50")
    before, moved = edge.asked("monolith", TOKENS), 0
    for user in range(40):
        reply = edge.ask(headers={"cookie": f"sessionid=s-{user}"})
        if reply.home == "catalog":
            moved += 1
            assert reply.seen["authorization"] == f"Bearer token-of-{user}"
            assert "cookie" not in reply.seen
        else:
            assert "authorization" not in reply.seen
            assert reply.seen["cookie"] == f"sessionid=s-{user}"
    assert 0 < moved < 40
    assert edge.asked("monolith", TOKENS) - before == moved


@pytest.mark.parametrize("phase", ["monolith", "shadow"])
def test_nothing_is_exchanged_for_the_monolith(edge: Edge, phase: str) -> None:
    edge.publish(phase)
    before = edge.asked("monolith", TOKENS)
    seen = edge.ask(headers=ANNA).seen
    assert seen["cookie"] == ANNA["cookie"]
    assert "authorization" not in seen
    assert edge.asked("monolith", TOKENS) == before


@pytest.mark.parametrize("who", [{}, {"cookie": "theme=dark"}, {"cookie": "sessionid="}])
def test_who_has_no_session_is_not_asked_for_one(edge: Edge, who: dict[str, str]) -> None:
    edge.publish("switched")
    before = edge.asked("monolith", TOKENS)
    reply = edge.ask(headers=who)
    assert reply.home == "catalog"
    assert "authorization" not in reply.seen
    assert edge.asked("monolith", TOKENS) == before


def test_a_token_of_ones_own_passes(edge: Edge) -> None:
    edge.publish("switched")
    before = edge.asked("monolith", TOKENS)
    assert edge.ask(headers={"authorization": "Bearer own"}).seen["authorization"] == "Bearer own"
    assert edge.ask(headers=ANNA | {"authorization": "bearer own"}).seen["authorization"] == "bearer own"
    assert edge.asked("monolith", TOKENS) == before


def test_a_session_of_nobody_goes_on_as_it_is(edge: Edge) -> None:
    edge.publish("switched")
    reply = edge.ask(headers={"cookie": "sessionid=nobody-1"})
    assert (reply.status, reply.home) == (200, "catalog")
    assert "authorization" not in reply.seen


def test_a_refused_session_gets_the_refusal(edge: Edge) -> None:
    edge.publish("switched")
    reply = edge.ask(headers={"cookie": "sessionid=expired-1"})
    assert (reply.status, reply.home) == (401, None)


def test_the_exchange_is_shown_the_session_and_nothing_else(edge: Edge) -> None:
    edge.publish("switched")
    told = {"authorization": "Basic YTpi", "x-secret": "s", "cookie": "sessionid=expired-1"}
    seen = edge.ask(headers=told).seen  # a refusal is passed on, and this one says what it was shown
    assert seen["cookie"] == told["cookie"]
    assert seen["host"]
    assert not {"authorization", "x-secret", "user-agent", "accept-encoding"} & set(seen)


def test_without_the_monolith_a_session_is_not_taken_for_a_stranger(own_edge: Edge) -> None:
    own_edge.publish("switched")
    own_edge.kill("monolith")
    assert own_edge.ask(headers=ANNA).status == 503
    assert own_edge.ask().home == "catalog"
    assert own_edge.ask(headers={"authorization": "Bearer own"}).home == "catalog"
