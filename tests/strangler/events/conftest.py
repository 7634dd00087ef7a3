"""Two shops with a database each, publisher and subscriber, on real servers, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.strangler.servers import a_database, rabbit, url_of

ROOT = Path(__file__).parents[3]
NAMESPACE = f"test-{os.getpid()}-"
TABLES = (
    "strangler_outbox_event, strangler_outbox_key, strangler_inbox_received, strangler_inbox_parked, "
    "strangler_inbox_position, rugs_change, rugs_seen, rugs_repaired"
)
EXCHANGES = ("events", "events.tasks", "events.unrouted", "rugs.prices.dead")
QUEUES = ("rugs.prices", "rugs.prices.dead", "events.unrouted")


@dataclass
class Shop:
    """One shop's database, its environment, and a process of it that does what it is asked."""

    url: str
    environment: dict[str, str]
    process: subprocess.Popen[str]

    def __call__(self, call: str, *arguments: Any, **named: Any) -> Any:
        asked = json.dumps({"call": call, "arguments": arguments, "named": named})
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(asked + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"{call} ended the shop's process"
        return json.loads(answer)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as database:
            cursor = database.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def start(self, *command: str, **changed: str) -> subprocess.Popen[str]:
        """A management command as a process of its own, with something changed in its environment."""
        return subprocess.Popen(
            [sys.executable, "-m", "django", *command], cwd=ROOT, env=self.environment | changed,
            stderr=subprocess.PIPE if changed else None, text=True,
        )  # fmt: skip


@contextmanager
def a_shop(url: str, **settings: str) -> Iterator[Shop]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.strangler.events.project.settings",
        "PYTHONPATH": str(ROOT), "DATABASE_URL": url, "EVENTS_NAMESPACE": NAMESPACE,
    } | settings  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.strangler.events.project.shell"], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdin
    try:
        assert json.loads(process.stdout.readline()) == "ready"
        yield Shop(url, environment, process)
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="session")
def database() -> Iterator[Callable[[str], str]]:
    """Makes empty databases, which are there until the end."""
    with ExitStack() as until_the_end:
        yield lambda purpose: url_of(until_the_end.enter_context(a_database(purpose)))


@pytest.fixture(scope="session")
def urls(database: Callable[[str], str]) -> tuple[str, str]:
    """The publisher's and the subscriber's database."""
    return database("publisher"), database("subscriber")


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """The broker that the environment names; everything of ours there is taken away at the end."""
    url = rabbit()
    yield url
    with amqp(url) as channel:
        for name in QUEUES:
            channel.queue_delete(NAMESPACE + name)
        for name in EXCHANGES:
            channel.exchange_delete(NAMESPACE + name)


@contextmanager
def amqp(url: str) -> Iterator[Any]:
    from kombu import Connection

    with Connection(f"py{url}") as connection:
        yield connection.channel()


@pytest.fixture(scope="session")
def _without_broker(urls: tuple[str, str]) -> Iterator[tuple[Shop, Shop]]:
    publisher, subscriber = urls
    named = json.dumps({"monolith": publisher})
    with a_shop(publisher, EVENTS_BROKER_URL="") as first:
        first("migrate")
        with a_shop(subscriber, EVENTS_BROKER_URL="", EVENTS_PUBLISHERS=named) as second:
            second("migrate")
            yield first, second


@pytest.fixture(scope="session")
def _with_broker(
    _without_broker: tuple[Shop, Shop], urls: tuple[str, str], broker_url: str
) -> Iterator[tuple[Shop, Shop]]:
    with (
        a_shop(urls[0], EVENTS_BROKER_URL=broker_url) as first,
        a_shop(urls[1], EVENTS_BROKER_URL=broker_url) as second,
    ):
        second("declare")
        yield first, second


@pytest.fixture
def embedded(_without_broker: tuple[Shop, Shop]) -> tuple[Shop, Shop]:
    """Publisher and subscriber, where the subscriber reads the other's outbox; nothing has happened yet."""
    for shop in _without_broker:
        shop.rows(f"TRUNCATE {TABLES} RESTART IDENTITY")
    return _without_broker


@pytest.fixture
def brokered(
    embedded: tuple[Shop, Shop], _with_broker: tuple[Shop, Shop], broker_url: str
) -> tuple[Shop, Shop]:
    """Publisher and subscriber with RabbitMQ between them; nothing has happened yet."""
    with amqp(broker_url) as channel:
        for name in QUEUES:
            channel.queue_purge(NAMESPACE + name)
    return _with_broker


@pytest.fixture(params=["brokered", "embedded"])
def shops(request: pytest.FixtureRequest) -> tuple[Shop, Shop]:
    """Publisher and subscriber, once with RabbitMQ and once without."""
    return request.getfixturevalue(request.param)
