"""One shop in a process of its own, which does what the tests ask: a JSON line in, a JSON line out."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

CHANGE = "INSERT INTO rugs_change (event_id, rug, n) VALUES (%s, %s, %s)"


def migrate() -> None:
    call_command("migrate", verbosity=0)


def announce(
    rug: str, numbers: list[int], fail: bool = False, kind: str = "v2", **more: Any
) -> list[str] | str:
    """Announce prices of a rug, all in one transaction; with `fail` it is rolled back."""
    from strangler.chassis import outbox
    from strangler.chassis.envelope import EventRefused
    from tests.strangler.events.project.events import CLASSES

    trace = more.pop("traceparent", None)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            events = [CLASSES[kind](rug=rug, n=n, **more) for n in numbers]
            ids = outbox.record(*events, traceparent=trace)
            for event_id, n in zip(ids, numbers, strict=True):
                cursor.execute(CHANGE, [event_id, rug, n])
            if fail:
                raise RuntimeError
    except (RuntimeError, EventRefused) as error:
        return str(error)
    return ids


def announce_unheard(rug: str) -> list[str]:
    from strangler.chassis import outbox
    from tests.strangler.events.project.events import RugBurnt

    with transaction.atomic():
        return outbox.record(RugBurnt(rug=rug))


def announce_outside(rug: str) -> str:
    from strangler.chassis import outbox
    from tests.strangler.events.project.events import RugBurnt

    try:
        outbox.record(RugBurnt(rug=rug))
    except outbox.OutsideTransaction as error:
        return str(error)
    return "recorded"


def announce_many(total: int, rugs: int, writers: int) -> None:
    """Announce `total` prices over some rugs from several threads, one transaction each."""

    def write(first: int) -> None:
        for n in range(first, total, writers):
            announce(f"rug-{n * 7919 % rugs}", [n])
        connection.close()

    threads = [threading.Thread(target=write, args=[first]) for first in range(writers)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def relay() -> int:
    """Publish all that is recorded."""
    from strangler.chassis.outbox.relay import Relay

    return Relay().run(until_idle=True)


def consume() -> str:
    """Handle all that has come, from the broker or the outboxes; says what it ended with."""
    from django.conf import settings

    from strangler.chassis import broker
    from strangler.chassis.inbox.consumer import Consumer
    from strangler.chassis.inbox.polling import Poller
    from strangler.chassis.inbox.subscriptions import NotNow, declared

    worker = Consumer(declared()) if broker.url() else Poller(declared(), settings.EVENTS_PUBLISHERS)
    try:
        worker.run(until_idle=True)
    except NotNow as error:
        return str(error)
    return "idle"


def declare() -> None:
    """Make the subscriptions' queues."""
    from strangler.chassis.inbox.consumer import declare
    from strangler.chassis.inbox.subscriptions import declared

    declare(declared())


def receive(*messages: list[Any]) -> None:
    """Settle messages that are given as [headers, content type, body], as if they had just come."""
    from strangler.chassis.envelope import Message
    from strangler.chassis.inbox.receiving import Delivery
    from strangler.chassis.inbox.receiving import receive as settle
    from strangler.chassis.inbox.subscriptions import declared

    settle(declared()[0], [Delivery.of(Message(h, c, b.encode())) for h, c, b in messages])


def timed() -> int:
    """How many events this process has timed from announced to handled."""
    from strangler.chassis import metrics

    said = [line.split() for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    return int(sum(float(value) for name, value in said if name.startswith("strangler_event_seconds_count")))


def main() -> None:
    django.setup()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = globals()[asked["call"]](*asked["arguments"], **asked["named"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
