"""Two worlds for each file of tests: one with RabbitMQ between publisher and subscriber, one without."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.strangler.events.conftest import amqp, database
from tests.strangler.servers import rabbit
from tests.strangler.telemetry.world import World

__all__ = ["database"]  # a fixture of theirs

NAMESPACE = f"trace-{os.getpid()}-"


@pytest.fixture(scope="module")
def url(database: Callable[[str], str], request: pytest.FixtureRequest) -> str:
    return database(f"traced_{request.module.__name__.rpartition('.')[2]}")


@pytest.fixture(scope="module")
def embedded(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Gateway, shop and consumer; the consumer reads the shop's outbox."""
    root = tmp_path_factory.mktemp("embedded")
    publishers = json.dumps({"shop": url})
    yield from _world(root, {"DATABASE_URL": url, "EVENTS_PUBLISHERS": publishers}, "consumer")


@pytest.fixture(scope="module")
def brokered(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Gateway, shop, relay, RabbitMQ and consumer."""
    broker = rabbit()
    environment = {
        "DATABASE_URL": database("traced_brokered"), "EVENTS_BROKER_URL": broker,
        "EVENTS_NAMESPACE": NAMESPACE,
    }  # fmt: skip
    yield from _world(tmp_path_factory.mktemp("brokered"), environment, "consumer", "relay")
    with amqp(broker) as channel:
        for name in ("rugs.prices", "rugs.prices.dead", "events.unrouted"):
            channel.queue_delete(NAMESPACE + name)
        for name in ("events", "events.unrouted", "rugs.prices.dead"):
            channel.exchange_delete(NAMESPACE + name)


def _world(root: Path, environment: dict[str, str], *names: str) -> Iterator[World]:
    environment["PROMETHEUS_MULTIPROC_DIR"] = str(root / "metrics")
    world = World(root, environment)
    try:
        world.manage("migrate", "--verbosity", "0")
        if "relay" in names:
            world.manage("consume_events", "--declare")
        world.start("telemetry", "shop", "gateway", *names)
        yield world
    finally:
        world.close()


@pytest.fixture(params=["brokered", "embedded"])
def world(request: pytest.FixtureRequest) -> World:
    """Once with RabbitMQ, once without."""
    found: World = request.getfixturevalue(request.param)
    return found
