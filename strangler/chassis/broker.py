"""RabbitMQ between publishers and subscribers: what is declared there, under which names.

    events (topic, alternate exchange events.unrouted)
      -> <subscription>            quorum, one active consumer, delivery limit, refuses instead of dropping
           -> <subscription>.dead  what was delivered too often; its consumer parks it in the database
    events.tasks (topic, the same alternate exchange): what bridges hand on to plain Celery applications
    events.unrouted (fanout) -> events.unrouted: what nobody subscribes to

Everything is declared whenever somebody connects; declaring twice changes nothing.

Settings: EVENTS_BROKER_URL, empty for none (then subscribers poll the publishers' outboxes);
EVENTS_NAMESPACE, a prefix for all names, so that several systems can share one server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from kombu import Connection

DELIVERY_LIMIT = 50  # a killed consumer counts one for each event that was on its way, innocent ones too
CONFIRMED_WITHIN = 30.0  # seconds of silence after which the broker is connected to anew
UNROUTED_KEPT = 100_000  # messages; the outbox still has those beyond


def url() -> str:
    """Where the broker is, in kombu's words; empty where there is none."""
    named: str = getattr(settings, "EVENTS_BROKER_URL", "")
    return "py" + named if named.startswith("amqp:") else named


def namespaced(name: str) -> str:
    return f"{getattr(settings, 'EVENTS_NAMESPACE', '')}{name}"


@contextmanager
def connected() -> Iterator[Any]:
    """A connection without confirmations of kombu's own, which would wait for each message."""
    # No heartbeats: a handler may take longer than any of them. TCP tells of a broker that is gone.
    with Connection(url(), heartbeat=0, connect_timeout=5) as connection:
        connection.connect()
        yield connection


def declare_events(channel: Any) -> str:
    """The exchange that events go to (its name is returned), and the queue of those that nobody wants."""
    unrouted, events = namespaced("events.unrouted"), namespaced("events")
    limits = {"x-max-length": UNROUTED_KEPT, "x-overflow": "drop-head"}
    channel.exchange_declare(unrouted, "fanout", durable=True, auto_delete=False)
    channel.queue_declare(unrouted, durable=True, auto_delete=False, arguments=limits)
    channel.queue_bind(unrouted, unrouted)
    alternate = {"alternate-exchange": unrouted}
    for topic in (events, tasks_exchange()):
        channel.exchange_declare(topic, "topic", durable=True, auto_delete=False, arguments=alternate)
    return events


def tasks_exchange() -> str:
    """The exchange where plain Celery applications bind their queues."""
    return namespaced("events.tasks")


def declare_subscription(channel: Any, name: str, types: Iterable[str]) -> tuple[str, str]:
    """A subscription's queue, bound to every version of its types, and the one for what it can't deliver."""
    events, queue, dead = declare_events(channel), namespaced(name), namespaced(f"{name}.dead")
    channel.exchange_declare(dead, "fanout", durable=True, auto_delete=False)
    channel.queue_declare(dead, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(dead, dead)
    arguments = {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": dead,
        "x-dead-letter-strategy": "at-least-once",
    }
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
    for type in types:
        # A newer version must arrive too: it is parked with its reason instead of being lost.
        channel.queue_bind(queue, events, f"{type}.*")
    return queue, dead
