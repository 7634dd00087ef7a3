"""Events: the relay beside raw pipelined confirms, and from the outbox to the handler."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from kombu import Connection

from strangler.errors import StranglerError
from tests.benchmarks.table import Row, interleaved
from tests.strangler.events.conftest import EXCHANGES, QUEUES, TABLES, Shop, a_shop

TITLE = "Events"
SENTENCE = (
    "Events of 500 keys, RabbitMQ with quorum queues. The relay reads the outbox, publishes confirmed and "
    "marks; its peer only publishes the same messages, confirmed, 500 on their way. End to end is from the "
    "outbox by relay and consumer processes to a handler that writes a row; latency is taken at 50 events a "
    "second, from recorded to handled."
)
EVENTS, KEYS, ROUNDS, LATENCIES = 5_000, 500, 3, 400
IN_FLIGHT = 500
PEERS = ("django-outbox-pattern", "jaiminho")


def run() -> list[Row]:
    """Takes about a minute; needs DATABASE_URL and BROKER_URL to name real servers."""
    url, amqp = os.environ.get("DATABASE_URL", ""), os.environ.get("BROKER_URL", "")
    if not url or not amqp.startswith("amqp"):
        raise StranglerError("it takes a real PostgreSQL and RabbitMQ: DATABASE_URL and BROKER_URL name none")
    namespace = f"bench-{secrets.token_hex(3)}-"
    with _databases(url) as urls, ExitStack() as stack:
        named = {"EVENTS_BROKER_URL": amqp, "EVENTS_NAMESPACE": namespace}
        publisher = stack.enter_context(a_shop(urls[0], **named))
        publisher("migrate")
        subscriber = stack.enter_context(a_shop(urls[1], **named))
        subscriber("migrate")
        stack.enter_context(_cleared(amqp, namespace))
        subscriber("declare")
        publisher("announce_many", EVENTS, KEYS, 2)
        speeds = interleaved(
            {
                "relay": lambda: _relayed(publisher, amqp, namespace),
                "raw": lambda: _raw(amqp, namespace),
            },
            ROUNDS,
        )
        batches = _handled(publisher, subscriber, amqp, namespace, "50")
        singly = _handled(publisher, subscriber, amqp, namespace, "1")
        p50, p99 = _latency(publisher, subscriber, {})
        unbrokered = {"EVENTS_BROKER_URL": "", "EVENTS_PUBLISHERS": json.dumps({"monolith": urls[0]})}
        embedded50, embedded99 = _latency(publisher, subscriber, unbrokered)
    latency: dict[str, Any] = {"unit": "ms", "less_is_better": True}
    return [
        Row("relay", speeds["relay"], "events/s", "raw confirms", speeds["raw"]),
        *(Row("relay", speeds["relay"], "events/s", peer, note="not installed") for peer in PEERS),
        Row("end to end, batches of 50", batches, "events/s"),
        Row("end to end, one by one", singly, "events/s"),
        Row("recorded to handled, p50", p50, **latency),
        Row("recorded to handled, p99", p99, **latency),
        Row("the same without a broker, p50", embedded50, **latency),
        Row("the same without a broker, p99", embedded99, **latency),
    ]


def _relayed(publisher: Shop, amqp: str, namespace: str) -> float:
    _purge(amqp, namespace)
    publisher.rows("UPDATE strangler_outbox_event SET published_at = NULL")
    publisher.rows("VACUUM ANALYZE strangler_outbox_event")
    start = time.perf_counter()
    count = publisher("relay")
    assert count == EVENTS
    return count / (time.perf_counter() - start)


def _raw(amqp: str, namespace: str) -> float:
    """The same number of messages of the same size, confirmed, from memory."""
    _purge(amqp, namespace)
    owed, sent = 0, 0

    def confirmed(tag: int, multiple: bool) -> None:
        nonlocal owed
        owed = sent - tag if multiple else owed - 1

    headers = {
        f"ce-{name}": "x" * 36 for name in ("id", "source", "type", "time", "partitionkey", "sequence")
    }
    with Connection(f"py{amqp}", heartbeat=0) as link:
        channel = link.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(confirmed)
        start = time.perf_counter()
        while sent < EVENTS or owed > 0:
            while sent < EVENTS and owed < IN_FLIGHT:
                message = channel.prepare_message(
                    b'{"rug": "rug-1", "n": 1, "currency": "EUR", "mood": ""}',
                    content_type="application/json", headers=headers, properties={"delivery_mode": 2},
                )  # fmt: skip
                sent, owed = sent + 1, owed + 1
                channel.basic_publish(message, f"{namespace}events", "rugs.price_changed.v2")
            link.drain_events(timeout=30)
        return EVENTS / (time.perf_counter() - start)


def _handled(publisher: Shop, subscriber: Shop, amqp: str, namespace: str, batch: str) -> float:
    """Events a second between the first and the last that is handled."""
    _purge(amqp, namespace)
    subscriber.rows(f"TRUNCATE {TABLES}")
    publisher.rows("UPDATE strangler_outbox_event SET published_at = NULL")
    subscriber.environment["RUGS_BATCH"] = batch
    with _running(publisher, "relay_events"), _running(subscriber, "consume_events"):
        while subscriber.rows("SELECT count(*) FROM rugs_seen") != [(EVENTS,)]:
            time.sleep(0.1)
    took = "SELECT extract(epoch FROM max(seen_at) - min(seen_at))::float8 FROM rugs_seen"
    return EVENTS / subscriber.rows(took)[0][0]


def _latency(publisher: Shop, subscriber: Shop, settings: dict[str, str]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    for shop in (publisher, subscriber):
        shop.rows(f"TRUNCATE {TABLES}")
    subscriber.environment.update(settings, RUGS_BATCH="20")
    with _running(subscriber, "consume_events"), ExitStack() as stack:
        if not settings:
            stack.enter_context(_running(publisher, "relay_events"))
        time.sleep(2)
        for n in range(LATENCIES):
            publisher("announce", f"rug-{n % 50}", [n])
            time.sleep(0.02)
        while subscriber.rows("SELECT count(*) FROM rugs_seen") != [(LATENCIES,)]:
            time.sleep(0.1)
    recorded = dict(publisher.rows("SELECT id::text, created FROM strangler_outbox_event"))
    seen = subscriber.rows("SELECT event_id, seen_at FROM rugs_seen")
    took = sorted((at - recorded[event]).total_seconds() * 1000 for event, at in seen)
    return statistics.median(took), took[int(len(took) * 0.99)]


@contextmanager
def _running(shop: Shop, command: str) -> Iterator[None]:
    process = shop.start(command, "--verbosity", "0")
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _purge(amqp: str, namespace: str) -> None:
    with Connection(f"py{amqp}") as link:
        channel = link.channel()
        for name in QUEUES:
            channel.queue_purge(namespace + name)


@contextmanager
def _cleared(amqp: str, namespace: str) -> Iterator[None]:
    """Take away, at the end, what was declared."""
    yield
    with Connection(f"py{amqp}") as link:
        channel = link.channel()
        for name in QUEUES:
            channel.queue_delete(namespace + name)
        for name in EXCHANGES:
            channel.exchange_delete(namespace + name)


@contextmanager
def _databases(url: str) -> Iterator[tuple[str, str]]:
    """Two databases of this run's own, beside the named one."""
    base, number = url.rpartition("/")[0], secrets.token_hex(3)
    names = [f"bench_events_{number}_{side}" for side in ("publisher", "subscriber")]
    with psycopg.connect(url, autocommit=True) as server:
        for name in names:
            server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{base}/{names[0]}", f"{base}/{names[1]}"
        finally:
            for name in names:
                server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
