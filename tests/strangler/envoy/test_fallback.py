"""The service dies, hangs or is ill: reads are answered all the same, and say by whom."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest

from tests.strangler.envoy.edge import PRODUCTS, Edge, Load
from tests.waiting import until

MANY = 50  # answers of a home, at least


def killed_under_load(edge: Edge, *, session: bool = True) -> Load:
    """Kill the service among its answers, and load on until as many more have come from elsewhere."""

    async def run() -> Load:
        seen, done = Load(), asyncio.Event()

        async def more_than(count: int, home: str) -> None:
            while seen.homes[home] <= count and not load.done():
                await asyncio.sleep(0.01)

        load = asyncio.create_task(edge.load(30, users=12, session=session, done=done, seen=seen))
        await more_than(MANY, "catalog")
        edge.kill("catalog")
        await more_than(seen.homes["monolith"] + MANY, "monolith")
        done.set()
        return await load

    return asyncio.run(run())


@pytest.mark.parametrize("phase", ["switched", "canary=50"])
@pytest.mark.parametrize("session", [True, False])
def test_killing_the_service_under_load_fails_nobody(own_edge: Edge, phase: str, session: bool) -> None:
    own_edge.publish(phase)
    seen = killed_under_load(own_edge, session=session)
    assert seen.failed == []
    assert seen.homes["catalog"] > MANY
    assert seen.homes["monolith"] > MANY


def test_an_answer_after_a_fallback_says_that_the_monolith_gave_it(own_edge: Edge) -> None:
    own_edge.publish("switched")
    assert own_edge.ask().home == "catalog"
    own_edge.kill("catalog")
    for _ in range(20):
        reply = own_edge.ask(headers={"cookie": "sessionid=s-anna"})
        assert reply.home == json.loads(reply.body)["home"] == "monolith"
        assert reply.seen["authorization"] == "Bearer token-of-anna"  # the monolith takes the token too


def test_the_service_answers_again_once_it_is_back(own_edge: Edge) -> None:
    own_edge.publish("switched")
    own_edge.kill("catalog")
    assert {own_edge.ask().home for _ in range(20)} == {"monolith"}
    own_edge.start_home("catalog")
    start = time.monotonic()
    until(lambda: own_edge.ask().home == "catalog")
    assert time.monotonic() - start < 5


def test_a_service_that_hangs_holds_nobody_for_long(own_edge: Edge) -> None:
    own_edge.publish("switched")
    own_edge.running["catalog"].send_signal(signal.SIGSTOP)
    start = time.monotonic()
    assert own_edge.ask().home == "monolith"
    assert time.monotonic() - start < 7
    start = time.monotonic()
    assert own_edge.ask().home == "monolith"
    assert time.monotonic() - start < 0.5  # it is known to be ill by now


def test_a_bug_of_the_service_is_not_hidden(own_edge: Edge) -> None:
    own_edge.publish("switched")
    for _ in range(10):
        reply = own_edge.ask("/slow/0", {"x-status": "500"})
        assert (reply.status, reply.home) == (500, "catalog")
    assert own_edge.ask("/slow/0", {"x-status": "503"}).home == "monolith"


def test_the_monolith_does_not_fall_back(own_edge: Edge) -> None:
    own_edge.publish("shadow")
    own_edge.kill("monolith")
    assert own_edge.ask().status == 503
    assert own_edge.ask(PRODUCTS, method="POST").status == 503


def test_homes_with_host_names_are_found_and_fall_back_alike(tmp_path: Path) -> None:
    edge = Edge(tmp_path, host="localhost")
    try:
        edge.publish("switched")
        assert edge.ask(headers={"cookie": "sessionid=s-anna"}).home == "catalog"
        edge.kill("catalog")
        assert edge.ask().home == "monolith"
    finally:
        edge.close()
