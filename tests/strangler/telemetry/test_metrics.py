"""What a home counts is the same whichever of its processes is asked, and nobody outside can ask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.strangler.telemetry.world import World
from tests.waiting import until


@pytest.fixture(scope="module")
def world(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A shop with two workers, its consumer, and the gateway; nobody takes spans."""
    url, root = database("counted"), tmp_path_factory.mktemp("counted")
    world = World(
        root,
        {
            "DATABASE_URL": url, "EVENTS_PUBLISHERS": json.dumps({"shop": url}), "WORKERS": "2",
            "PROMETHEUS_MULTIPROC_DIR": str(root / "metrics"), "OTEL_SDK_DISABLED": "true",
        },
    )  # fmt: skip
    try:
        world.manage("migrate", "--verbosity", "0")
        world.start("shop", "gateway", "consumer")
        yield world
    finally:
        world.close()


def value(world: World, name: str) -> float | None:
    """A metric's value as the home says it, by its whole name with labels."""
    text = world.ask("/metrics", method="GET", of="shop").body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def test_requests_and_events_are_counted_across_the_processes_of_a_home(world: World) -> None:
    for n in range(30):
        assert world.ask(f"/rugs/COUNTED-RUG-{n}/1/").status == 200
    world.ask("/rugs/WRONG-RUG/1/?mood=poison")
    world.ask("/nowhere/", method="GET")

    route = 'route="/rugs/<str:rug>/<int:n>/"'
    for _ in range(6):  # whichever worker answers
        assert value(world, f'strangler_requests_total{{method="POST",{route},status="200"}}') == 31
        assert value(world, f"strangler_request_seconds_count{{{route}}}") == 31
    assert value(world, 'strangler_requests_total{method="GET",route="unknown",status="404"}') == 1
    subscription = 'subscription="rugs.prices"'
    until(lambda: value(world, f'strangler_inbox_events_total{{outcome="handled",{subscription}}}') == 30)
    until(lambda: value(world, f'strangler_inbox_events_total{{outcome="parked",{subscription}}}') == 1)
    assert value(world, f"strangler_event_seconds_count{{{subscription}}}") == 30
    assert value(world, f"strangler_inbox_parked{{{subscription}}}") == 1
    assert value(world, f"strangler_inbox_parked_keys{{{subscription}}}") == 1
    assert value(world, "strangler_database_up") == 1


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics?name=x", "/./metrics", "//metrics"])
def test_metrics_are_closed_to_the_world(world: World, path: str) -> None:
    reply = world.ask(path, method="GET")
    assert reply.status == 404
    assert b"strangler_" not in reply.body
    assert reply.headers["x-strangler-home"] is None


def test_a_home_without_telemetry_works_unchanged(database: Callable[[str], str], tmp_path: Path) -> None:
    url = database("bare")
    world = World(tmp_path, {"DATABASE_URL": url, "TELEMETRY": "off"})
    try:
        world.manage("migrate", "--verbosity", "0")
        world.start("shop")
        assert world.ask("/rugs/BARE-RUG/1/", of="shop").status == 200
        assert world.ask("/metrics", of="shop", method="GET").status == 404
    finally:
        world.close()
