"""Nobody waits for whoever takes spans: away, killed or broken, requests and events go on."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.strangler.telemetry.world import World
from tests.waiting import until


@pytest.fixture
def world(database: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    url = database(f"untraced_{request.node.name[5:20]}")
    world = World(tmp_path, {"DATABASE_URL": url, "EVENTS_PUBLISHERS": json.dumps({"shop": url})})
    world.manage("migrate", "--verbosity", "0")
    try:
        yield world
    finally:
        world.close()


def test_a_receiver_that_is_away_or_silent_costs_spans_and_nothing_else(world: World) -> None:
    world.start("shop", "gateway", "consumer")
    slowest = announce(world, 40)
    assert slowest < 3

    # Now one that takes connections, and never says a word.
    with socket.create_server(("127.0.0.1", world.ports["telemetry"]), backlog=50) as silent:
        held: list[socket.socket] = []
        threading.Thread(target=lambda: hold(silent, held), daemon=True).start()
        slowest = announce(world, 80)
        assert slowest < 3
        until(lambda: len(held) > 0)

        began = time.monotonic()
        for name in ("shop", "consumer"):
            world.running[name].terminate()
        for name in ("shop", "consumer"):
            world.running[name].wait(20)
        assert time.monotonic() - began < 15
        for one in held:
            one.close()
    assert "Traceback" not in world.log("shop") + world.log("consumer")


def test_spans_come_again_once_the_receiver_is_back(world: World) -> None:
    world.start("telemetry", "shop", "gateway")
    world.spans(world.ask("/rugs/GARISH-RUG/1/").trace, "gateway: ingress")
    world.kill("telemetry")
    assert world.ask("/rugs/GARISH-RUG/2/").status == 200
    world.start("telemetry")

    asked: list[str] = []  # what was on its way to the killed receiver may be lost

    def arrives() -> bool:
        asked.append(world.ask("/rugs/GARISH-RUG/3/").trace)
        wanted = {"gateway: ingress", "shop: POST /rugs/<str:rug>/<int:n>/"}
        return any(wanted <= world.spans(one).keys() for one in asked)

    until(arrives)


def announce(world: World, upto: int) -> float:
    """Announce forty prices more, wait until they are handled; the slowest answer's seconds."""
    slowest = 0.0
    for n in range(upto - 39, upto + 1):
        began = time.monotonic()
        assert world.ask(f"/rugs/RUG-{n}/1/").status == 200
        slowest = max(slowest, time.monotonic() - began)
    until(lambda: world.count("SELECT count(*) FROM rugs_seen") == upto)
    return slowest


def hold(server: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(server.accept()[0])
        except OSError:
            return
