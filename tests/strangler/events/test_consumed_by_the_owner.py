"""Where a context's rows move, its subscriptions are consumed by whichever home owns them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from tests.strangler.events.conftest import Shop
from tests.strangler.events.delivering import deliver, seen
from tests.waiting import until

SCHEMA = (Path(str(files("strangler.movement"))) / "ownership.sql").read_text()


@pytest.fixture
def is_what(shops: tuple[Shop, Shop]) -> Iterator[Callable[..., None]]:
    """Says what the subscriber is to the rows of rugs, or of a unit of another name."""
    _, subscriber = shops
    with psycopg.connect(subscriber.url) as database:
        database.execute(SCHEMA)

    def say(state: str, unit: str = "rugs.write") -> None:
        subscriber.rows(
            """INSERT INTO strangler_ownership.unit (name, tables, state, other, advice, deadline)
               VALUES (%s, '{}', %s, 'shop', '', CASE %s WHEN 'fenced' THEN now() END)
               ON CONFLICT (name) DO UPDATE SET state = excluded.state, deadline = excluded.deadline""",
            unit, state, state,
        )  # fmt: skip

    yield say
    subscriber.rows("DROP SCHEMA strangler_ownership CASCADE")


@pytest.mark.parametrize("state", ["follower", "offered", "fenced"])
def test_whoever_does_not_own_the_rows_leaves_the_events_to_the_owner(shops, is_what, state):
    publisher, subscriber = shops
    is_what(state)
    publisher("announce", "rug-1", [1, 2])
    deliver(publisher, subscriber)
    assert seen(subscriber, "rug-1") == []
    is_what("owner")
    deliver(publisher, subscriber)
    assert seen(subscriber, "rug-1") == [1, 2]


def test_rows_of_other_contexts_make_no_difference(shops, is_what):
    publisher, subscriber = shops
    is_what("follower", unit="lamps.write")
    publisher("announce", "rug-1", [1])
    deliver(publisher, subscriber)
    assert seen(subscriber, "rug-1") == [1]


def test_a_running_consumer_lets_go_and_takes_up_as_ownership_moves(shops, is_what):
    publisher, subscriber = shops
    is_what("owner")
    with running(subscriber):
        announce(publisher, 1)
        until(lambda: seen(subscriber, "rug-1") == [1])
        is_what("follower")
        time.sleep(1.5)
        announce(publisher, 2)
        time.sleep(1.5)
        assert seen(subscriber, "rug-1") == [1]
        is_what("owner")
        until(lambda: seen(subscriber, "rug-1") == [1, 2])


def announce(publisher: Shop, number: int) -> None:
    publisher("announce", "rug-1", [number])
    if publisher.environment["EVENTS_BROKER_URL"]:
        publisher("relay")


@contextmanager
def running(shop: Shop) -> Iterator[None]:
    process = shop.start("consume_events")
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
