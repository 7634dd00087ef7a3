"""A plain Celery application hears events as tasks: none is lost, though its worker is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kombu import Queue

from tests.strangler.events import celery_app
from tests.strangler.events.conftest import NAMESPACE, ROOT, Shop, a_shop, amqp
from tests.strangler.events.delivering import seen
from tests.waiting import until

EVENTS, RUGS = 200, 20
QUEUE = f"{NAMESPACE}accounting.prices"
TABLES = re.findall(r"CREATE TABLE .*;", celery_app.__doc__ or "")


@pytest.fixture
def bridged(brokered, broker_url) -> Iterator[tuple[Shop, Shop]]:
    """Publisher, and a subscriber that also bridges to the queue of a plain Celery application."""
    publisher, subscriber = brokered
    for table in TABLES:
        subscriber.rows(table.replace("TABLE", "TABLE IF NOT EXISTS"))
    subscriber.rows("TRUNCATE accounting_price, accounting_entry")
    with a_shop(subscriber.url, EVENTS_BROKER_URL=broker_url, RUGS_BRIDGE="1") as bridging:
        bridging("declare")
        with amqp(broker_url) as channel:
            queue_of(channel).declare()
        try:
            yield publisher, bridging
        finally:
            with amqp(broker_url) as channel:
                for name in (QUEUE, f"{NAMESPACE}rugs.tasks", f"{NAMESPACE}rugs.tasks.dead"):
                    channel.queue_delete(name)
                channel.exchange_delete(f"{NAMESPACE}rugs.tasks.dead")


def queue_of(channel, **arguments: object) -> Queue:
    """The application's queue, as its worker declares it."""
    ours = celery_app.prices
    exchange = ours.exchange.__class__(f"{NAMESPACE}events.tasks", type="topic", no_declare=True)
    arguments = arguments or ours.queue_arguments
    return Queue(QUEUE, exchange, ours.routing_key, queue_arguments=arguments, channel=channel)


@contextmanager
def a_worker(subscriber: Shop, broker_url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "EVENTS_NAMESPACE": NAMESPACE, "ACCOUNTING_SLOWNESS": "0.02",
        "BROKER_URL": f"py{broker_url}", "ACCOUNTING_DATABASE_URL": subscriber.url,
    }  # fmt: skip
    words = "--app tests.strangler.events.celery_app worker --concurrency 2 --loglevel WARNING"
    command = [sys.executable, "-m", "celery", *words.split(), "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        yield worker
    finally:
        if worker.poll() is None:
            worker.terminate()
            worker.wait(20)


def entered(subscriber: Shop) -> int:
    return subscriber.rows("SELECT count(*) FROM accounting_entry")[0][0]


@pytest.mark.timeout(300)
def test_plain_celery_application_does_every_event_though_its_worker_is_killed(bridged, broker_url):
    publisher, subscriber = bridged
    for start in range(0, EVENTS, 10):
        publisher("announce", f"rug-{start // 10 % RUGS}", list(range(start, start + 10)))
    assert publisher("relay") == EVENTS
    with a_worker(subscriber, broker_url) as first:
        assert subscriber("consume") == "idle"
        until(lambda: entered(subscriber) >= EVENTS // 8, within=100)
        os.killpg(first.pid, signal.SIGKILL)  # the worker and its pool, a session of their own
        first.wait()
    assert entered(subscriber) < EVENTS, "it was killed in the middle"
    with a_worker(subscriber, broker_url):
        until(lambda: entered(subscriber) == EVENTS, within=100)
    last = dict(publisher.rows("SELECT rug, max(n) FROM rugs_change GROUP BY rug"))
    assert dict(subscriber.rows("SELECT rug, n FROM accounting_price")) == last
    assert len(last) == RUGS
    assert seen(subscriber, "rug-1") == list(range(10, 20)), "the subscription beside it had its events too"


def test_full_queue_of_tasks_holds_its_bridge_alone_and_loses_nothing(bridged, broker_url):
    publisher, subscriber = bridged
    with amqp(broker_url) as channel:
        channel.queue_delete(QUEUE)
        queue_of(channel, **{"x-max-length": 1, "x-overflow": "reject-publish"}).declare()
        for n in range(4):
            publisher("announce", "rug-1", [n])
        publisher("relay")
        assert "is full" in subscriber("consume")
        assert seen(subscriber, "rug-1") == [0, 1, 2, 3]
        bridged_so_far = "SELECT count(*) FROM strangler_inbox_received WHERE subscription = 'rugs.tasks'"
        assert subscriber.rows(bridged_so_far)[0][0] < 4
        assert subscriber.rows("SELECT count(*) FROM strangler_inbox_parked") == [(0,)]
        channel.queue_delete(QUEUE)
        queue_of(channel).declare()
    assert subscriber("consume") == "idle"
    assert subscriber.rows(bridged_so_far) == [(4,)]


def test_held_bridge_keeps_no_event_from_the_subscription_beside_it(bridged, broker_url):
    publisher, subscriber = bridged
    events = 600  # more than the broker sends ahead of what is acknowledged
    with amqp(broker_url) as channel:
        channel.queue_delete(QUEUE)
        queue_of(channel, **{"x-max-length": 1, "x-overflow": "reject-publish"}).declare()
        publisher("announce_many", events, RUGS, 2)
        publisher("relay")
        consuming = subscriber.start("consume_events", "--verbosity", "0")
        try:
            until(lambda: subscriber.rows("SELECT count(*) FROM rugs_seen") == [(events,)], within=30)
        finally:
            consuming.terminate()
            consuming.wait(20)
