"""Hands events on to plain Celery applications, which have no inbox: each one arrives there as a task.

A bridge is a subscription whose effect is a message, in Celery's protocol 2, on the topic exchange
`events.tasks`. It is confirmed by the broker before the inbox commits, so a bridge that is killed in between
sends it again: the task's id is the event's, and the task must not mind being run twice.

    CeleryBridge("accounting.tasks", forwards=("catalog.product_price_changed",))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import amqp
from amqp.exceptions import MessageNacked

from strangler.chassis import broker
from strangler.chassis.envelope import JSON_TYPE, Envelope
from strangler.chassis.inbox.subscriptions import NotNow, Subscription


@dataclass(frozen=True)
class CeleryBridge(Subscription):
    """A subscription that forwards some types, in every version, to whoever bound a queue for them.

    The task is named as the type is, without the version; its one argument is the CloudEvent in its
    structured form. The routing key is the type with its version.
    """

    batch: int = 1  # a batch that fails has been sent in part, and is sent again
    forwards: tuple[str, ...] = ()
    _link: _Link = field(default_factory=lambda: _Link(), init=False, repr=False, compare=False)

    @property
    def types(self) -> tuple[str, ...]:
        """The types that it forwards."""
        return tuple(sorted(self.forwards))

    def handle(self, event: Envelope) -> None:
        """Forward an event, and return once the broker has it; NotNow while it won't take it."""
        self._link.send(f"{event.type}.v{event.version}", *as_task(event))


def as_task(event: Envelope) -> tuple[dict[str, Any], str]:
    """Headers and body of an event as a Celery task.

    https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
    """
    whole = {
        "specversion": "1.0", "id": event.id, "source": event.source,
        "type": f"{event.type}.v{event.version}", "partitionkey": event.key, "sequence": event.sequence,
        "time": event.time.isoformat() if event.time else None, "traceparent": event.traceparent,
        "datacontenttype": JSON_TYPE, "data": event.data,
    }  # fmt: skip
    given = [{name: value for name, value in whole.items() if value is not None}]
    headers = {
        "lang": "py", "task": event.type, "id": event.id, "root_id": event.id, "parent_id": None,
        "group": None, "origin": event.source, "argsrepr": f"({event.id!r},)", "kwargsrepr": "{}",
    }  # fmt: skip
    if event.traceparent:
        headers["traceparent"] = event.traceparent
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return headers, json.dumps([given, {}, embed])


class _Link:
    """A channel of the bridge's own, opened when it is first needed and again after it was lost."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._channel: Any = None

    def send(self, key: str, headers: Mapping[str, Any], body: str) -> None:
        """Return once the broker has it; NotNow while it won't take it."""
        try:
            if self._channel is None:
                self._channel = self._opened.enter_context(broker.connected()).channel()
                broker.declare_events(self._channel)
            message = self._channel.prepare_message(
                body.encode(), content_type=JSON_TYPE, content_encoding="utf-8", headers=dict(headers),
                properties={"delivery_mode": 2, "correlation_id": headers["id"], "message_id": headers["id"]},
            )  # fmt: skip
            self._channel.basic_publish_confirm(
                message, broker.tasks_exchange(), key, confirm_timeout=broker.CONFIRMED_WITHIN
            )
        except MessageNacked:
            raise NotNow(f"a queue of tasks that {key} goes to is full") from None
        except (OSError, amqp.AMQPError) as error:
            self._channel, opened, self._opened = None, self._opened, ExitStack()
            opened.close()
            raise NotNow(f"the broker takes no tasks: {error!r}") from error
