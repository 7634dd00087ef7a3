"""The two ways to burn: with a RabbitMQ node of the run's own, and embedded, with a PostgreSQL of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from tests.strangler.events.conftest import Shop, a_shop
from tests.strangler.events.fire.burning import Server
from tests.strangler.events.fire.servers import a_server
from tests.strangler.events.rabbit import a_node
from tests.strangler.servers import sql

Ground = tuple[Shop, Shop, Server]


@contextmanager
def by_broker() -> Iterator[Ground]:
    """Publisher and subscriber with a broker between them that may burn, on a PostgreSQL that doesn't."""
    with a_server() as database, a_node() as node, ExitStack() as stack:
        urls = _databases(database.url)
        shops = [stack.enter_context(a_shop(url, EVENTS_BROKER_URL=node.url)) for url in urls]
        for shop in shops:
            shop("migrate")
        shops[1]("declare")
        yield shops[0], shops[1], Server("RabbitMQ", node.stop, node.kill, node.start)


@contextmanager
def embedded() -> Iterator[Ground]:
    """Publisher and subscriber without a broker, on a PostgreSQL that may burn."""
    with a_server() as database, ExitStack() as stack:
        urls = _databases(database.url)
        named = {"EVENTS_BROKER_URL": "", "EVENTS_PUBLISHERS": json.dumps({"monolith": urls[0]})}
        shops = [stack.enter_context(a_shop(url, **named)) for url in urls]
        for shop in shops:
            shop("migrate")
        yield shops[0], shops[1], Server("PostgreSQL", database.stop, database.crash, database.start)


WAYS: dict[str, Callable[[], AbstractContextManager[Ground]]] = {"broker": by_broker, "embedded": embedded}


def _databases(url: Callable[[str], str]) -> list[str]:
    names = [f"{side}_{secrets.token_hex(3)}" for side in ("publisher", "subscriber")]
    sql(url("postgres"), *(f"CREATE DATABASE {name}" for name in names))
    return [url(name) for name in names]
