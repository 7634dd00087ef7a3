"""Writes through a real Envoy: they go to the owner, and wait while ownership moves."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from tests.strangler.envoy.edge import PRODUCTS, Edge


@pytest.fixture(autouse=True)
def owned(edge: Edge):
    """The monolith owns the rows, before and after."""
    edge.owns("monolith", True)
    edge.owns("catalog", False)
    yield
    edge.publish("monolith")


def write(edge: Edge, number: int = 0, **named):
    return edge.ask(method="POST", headers={"x-number": str(number)} | named.pop("headers", {}), **named)


def switch(edge: Edge, phase: str, pause: float) -> None:
    """What a switch does as the gateway sees it."""
    old, new = ("monolith", "catalog") if phase == "switched" else ("catalog", "monolith")
    edge.owns(old, False)
    time.sleep(pause)
    edge.owns(new, True)
    edge.publish("monolith", write=phase)


@pytest.mark.parametrize(("phase", "home"), [("replicate", "monolith"), ("switched", "catalog")])
def test_writes_go_to_the_owner_and_reads_are_none_of_it(edge: Edge, phase: str, home: str) -> None:
    if phase == "switched":
        switch(edge, "switched", 0)
    edge.publish("monolith", write=phase)
    assert write(edge).home == home
    assert write(edge).headers["x-strangler-capability"] == "catalog.write"
    assert edge.ask(PRODUCTS + "7/", method="PATCH").home == home
    assert edge.ask(PRODUCTS + "7/").home == "monolith"
    assert edge.ask(PRODUCTS + "7/", method="DELETE").home == "monolith"  # no route of the capability


def test_a_client_can_not_name_a_capability(edge: Edge) -> None:
    edge.publish("monolith", write="replicate")
    assert "x-strangler-capability" not in edge.ask("/", {"x-strangler-capability": "catalog.write"}).seen
    assert (
        write(edge, headers={"x-strangler-capability": "x"}).seen["x-strangler-capability"] == "catalog.write"
    )


@pytest.mark.parametrize("phase", ["replicate", "switched"])
def test_a_session_becomes_a_token_whoever_owns_the_rows(edge: Edge, phase: str) -> None:
    edge.owns("catalog", True)
    edge.publish("monolith", write=phase)
    seen = write(edge, headers={"cookie": "sessionid=s-anna"}).seen
    assert seen["authorization"] == "Bearer token-of-anna"
    assert "cookie" not in seen


def test_writes_wait_while_ownership_moves_there_and_back(edge: Edge) -> None:
    """Every write is taken once, by whoever owned the rows then; nobody sees the fence."""
    edge.publish("monolith", write="replicate")
    stop, numbers = threading.Event(), itertools.count(1000)
    answered: dict[int, tuple[int, str | None]] = {}
    longest = [0.0]

    def client() -> None:
        while not stop.is_set():
            number, began = next(numbers), time.monotonic()
            reply = write(edge, number, body=b"x" * 2000)
            longest[0] = max(longest[0], time.monotonic() - began)
            answered[number] = reply.status, reply.home

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    for phase in ("switched", "replicate", "switched"):
        time.sleep(0.3)
        switch(edge, phase, 0.3)
    time.sleep(0.3)
    stop.set()
    for one in clients:
        one.join()
    assert {status for status, _ in answered.values()} == {201}
    assert {home for _, home in answered.values()} == {"monolith", "catalog"}
    taken = [int(n) for name in edge.ports for n in edge.tell(name, "/_taken")["taken"] if n.isdecimal()]
    assert sorted(n for n in taken if n in answered) == sorted(answered)
    assert 0.3 < longest[0] < 3


def test_a_fence_that_stays_is_told_in_the_end_without_its_secret(edge: Edge) -> None:
    edge.publish("monolith", write="replicate")
    edge.owns("monolith", False)
    began = time.monotonic()
    reply = write(edge)
    assert reply.status == 504
    assert 4 < time.monotonic() - began < 15
    assert reply.headers["x-strangler-fenced"] is None


def test_the_largest_body_that_is_kept_waits_and_a_larger_one_is_refused_at_once(edge: Edge) -> None:
    edge.publish("monolith", write="replicate")
    edge.owns("monolith", False)
    threading.Timer(0.5, edge.owns, ("monolith", True)).start()
    assert write(edge, body=b"x" * 1_000_000).status == 201
    edge.owns("monolith", False)
    began = time.monotonic()
    assert write(edge, body=b"x" * 1_300_000).status == 503
    assert time.monotonic() - began < 2


def test_any_write_that_meets_a_fence_waits_for_it(edge: Edge) -> None:
    """Not only those of the capability: whatever else writes these rows still."""
    edge.publish("monolith", write="replicate")
    reply = edge.ask("/orders/", method="POST")
    assert reply.home == "monolith"
    assert "x-strangler-capability" not in reply.seen
