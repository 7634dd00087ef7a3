"""Events: the relay beside raw pipelined confirms and two peers, from outbox to handler, and killed."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from kombu import Connection

from strangler.errors import StranglerError
from tests.benchmarks.peers.outboxes import outboxes
from tests.benchmarks.table import Row, interleaved
from tests.strangler.events.conftest import NAMESPACE, QUEUES, TABLES, Shop, a_shop
from tests.strangler.events.rabbit import NoRabbit, a_node

TITLE = "Events"
SENTENCE = (
    "Events of 500 keys, a RabbitMQ node of the run's own with quorum queues. The relay reads the outbox, "
    "publishes confirmed and marks; raw confirms only publish the same messages, 500 on their way. End to "
    "end is from the outbox by relay and consumer processes to a handler that writes a row; latency is taken "
    "at 50 events a second, from recorded to handled. django-outbox-pattern speaks STOMP to the same node, "
    "without confirmations, and polls each second; jaiminho is given a producer that waits for each "
    "confirmation, and has no consumer. A killed relay is one that publishes 50 events a second; the time is "
    "to the next event that is published."
)
EVENTS, KEYS, ROUNDS, LATENCIES = 5_000, 500, 3, 400
PEER_EVENTS, PEER_LATENCIES = 1_000, 60
IN_FLIGHT = 500
KILLS = 3


def run() -> list[Row]:
    """Takes about three minutes; needs DATABASE_URL, and rabbitmq-server installed."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise StranglerError("it takes a real PostgreSQL, and DATABASE_URL names none")
    try:
        with a_node(stomp=True) as node:
            return _measured(url, node.url, node.stomp_port)
    except NoRabbit as reason:
        raise StranglerError(str(reason)) from reason


def _measured(url: str, amqp: str, stomp: int) -> list[Row]:
    with ExitStack() as stack:
        urls = stack.enter_context(_databases(url))
        named = {"EVENTS_BROKER_URL": amqp}
        publisher = stack.enter_context(a_shop(urls[0], **named))
        publisher("migrate")
        subscriber = stack.enter_context(a_shop(urls[1], **named))
        subscriber("migrate")
        subscriber("declare")
        publisher("announce_many", EVENTS, KEYS, 2)
        speeds = interleaved({"relay": lambda: _relayed(publisher, amqp), "raw": lambda: _raw(amqp)}, ROUNDS)
        batches = _handled(publisher, subscriber, amqp, "50")
        singly = _handled(publisher, subscriber, amqp, "1")
        p50, p99 = _latency(publisher, subscriber, {})
        again, over = _killed(publisher, standby=False), _killed(publisher, standby=True)
        unbrokered = {"EVENTS_BROKER_URL": "", "EVENTS_PUBLISHERS": json.dumps({"monolith": urls[0]})}
        embedded50, embedded99 = _latency(publisher, subscriber, unbrokered)
        theirs = _peers(urls[2:], amqp, stomp)
    latency: dict[str, Any] = {"unit": "ms", "less_is_better": True}

    def beside(what: str, ours: float, figure: str, unit: str = "events/s") -> Iterator[Row]:
        for peer, (figures, reason) in theirs.items():
            if figure in figures or reason:
                less = unit == "ms"
                note = "" if figure in figures else reason
                yield Row(what, ours, unit, peer, figures.get(figure), less_is_better=less, note=note)

    return [
        Row("relay", speeds["relay"], "events/s", "raw confirms", speeds["raw"], note="goal: 8,000"),
        *beside("relay", speeds["relay"], "relay"),
        Row("end to end, batches of 50", batches, "events/s", note="goal: 2,000"),
        Row("end to end, one by one", singly, "events/s", note="goal: 600"),
        *beside("end to end, one by one", singly, "handled"),
        Row("recorded to handled, p50", p50, **latency, note="goal: 6 ms"),
        Row("recorded to handled, p99", p99, **latency, note="goal: 35 ms"),
        *beside("recorded to handled, p50", p50, "p50", "ms"),
        *beside("recorded to handled, p99", p99, "p99", "ms"),
        Row("the same without a broker, p50", embedded50, **latency),
        Row("the same without a broker, p99", embedded99, **latency),
        Row("relay killed and started again", again, "s", note=f"goal: 2 s; the longest of {KILLS}"),
        Row("relay killed, another stands by", over, "s", note=f"goal: 2 s; the longest of {KILLS}"),
    ]


def _peers(urls: list[str], amqp: str, stomp: int) -> dict[str, tuple[dict[str, float], str]]:
    """Each peer's figures, or the reason that it has none."""
    found: dict[str, tuple[dict[str, float], str]] = {}
    there = outboxes()
    for name, url in zip(("django-outbox-pattern", "jaiminho"), urls, strict=True):
        trial = name.removeprefix("django-").replace("-", "_")
        try:
            found[name] = there.trial(trial, url, amqp, stomp, PEER_EVENTS, PEER_LATENCIES), ""
        except OSError as reason:
            found[name] = {}, str(reason)
    return found


def _killed(publisher: Shop, *, standby: bool) -> float:
    """Seconds from a relay's death by SIGKILL to the next event that is published, the longest of some."""
    publisher.rows(f"TRUNCATE {TABLES}")
    took, stopping = [], threading.Event()

    def announce() -> None:
        for n in range(100_000):
            if stopping.wait(0.02):
                return
            publisher("announce", f"rug-{n % 50}", [n])

    announcing = threading.Thread(target=announce)
    running = [publisher.start("relay_events", "--verbosity", "0")]
    try:
        announcing.start()
        for _ in range(KILLS):
            _next_published(publisher)
            if standby:
                running.append(publisher.start("relay_events", "--verbosity", "0"))
                time.sleep(3)  # it is up, and has no lease
            running[0].kill()
            died = publisher.rows("SELECT clock_timestamp()")[0][0]
            running.pop(0).wait()
            if not standby:
                running.append(publisher.start("relay_events", "--verbosity", "0"))
            took.append(_next_published(publisher, died))
    finally:
        stopping.set()
        announcing.join()
        for one in running:
            one.terminate()
            one.wait(20)
    return max(took)


def _next_published(publisher: Shop, since: Any = None) -> float:
    """Wait until an event is published after a moment, or now; returns how many seconds after."""
    since = since or publisher.rows("SELECT clock_timestamp()")[0][0]
    first = "SELECT min(published_at) FROM strangler_outbox_event WHERE published_at > %s"
    while (at := publisher.rows(first, since)[0][0]) is None:
        time.sleep(0.02)
    return float((at - since).total_seconds())


def _relayed(publisher: Shop, amqp: str) -> float:
    _purge(amqp)
    publisher.rows("UPDATE strangler_outbox_event SET published_at = NULL")
    publisher.rows("VACUUM ANALYZE strangler_outbox_event")
    start = time.perf_counter()
    count = publisher("relay")
    assert count == EVENTS
    return count / (time.perf_counter() - start)


def _raw(amqp: str) -> float:
    """The same number of messages of the same size, confirmed, from memory."""
    _purge(amqp)
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
                channel.basic_publish(message, f"{NAMESPACE}events", "rugs.price_changed.v2")
            link.drain_events(timeout=30)
        return EVENTS / (time.perf_counter() - start)


def _handled(publisher: Shop, subscriber: Shop, amqp: str, batch: str) -> float:
    """Events a second between the first and the last that is handled."""
    _purge(amqp)
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


def _purge(amqp: str) -> None:
    with Connection(f"py{amqp}") as link:
        channel = link.channel()
        for name in QUEUES:
            channel.queue_purge(NAMESPACE + name)


@contextmanager
def _databases(url: str) -> Iterator[list[str]]:
    """Databases of this run's own, beside the named one: publisher's, subscriber's, and one for each peer."""
    base, number = url.rpartition("/")[0], secrets.token_hex(3)
    names = [f"bench_events_{number}_{side}" for side in ("publisher", "subscriber", "peer", "other")]
    with psycopg.connect(url, autocommit=True) as server:
        for name in names:
            server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield [f"{base}/{name}" for name in names]
        finally:
            for name in names:
                server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
