"""Takes deliveries in: each event's effect and the word that it was handled are one transaction.

A batch is one transaction. If anything in it fails, its events are handled one by one, and the one that fails
alone is parked, in a transaction of its own; the later events of its key are parked behind it. What fails
because the database or a fence is in the way is no poison: NotNow, and nothing has happened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction

from strangler.chassis import envelope, metrics, trace
from strangler.chassis.envelope import Envelope, Message, NotAnEvent
from strangler.chassis.fence import is_fenced
from strangler.chassis.inbox.subscriptions import NotNow, Subscription

TRIES = 5  # of an event that met a deadlock or a lock's time limit, before it counts as poison
logger = logging.getLogger(__name__)

LOCK_KEYS = """
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended('strangler_inbox ' || %s || ' ' || key, 0) AS number
    FROM unnest(%s::text[]) AS key ORDER BY number
) AS numbers
"""
# Without when it was announced: how long it was parked, or when it is replayed, says nothing of how soon a
# consumer handles.
RECEIVE_PARKED = """
INSERT INTO strangler_inbox_received (subscription, event_id, key, type, note)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING event_id
"""
# One that has just come, if its key isn't parked.
TAKE_ONE = """
INSERT INTO strangler_inbox_received (subscription, event_id, key, type, note, announced_at)
SELECT %s, %s, %s, %s, %s, %s::timestamptz
WHERE NOT EXISTS (SELECT FROM strangler_inbox_parked WHERE subscription = %s AND key = %s)
ON CONFLICT DO NOTHING RETURNING event_id
"""
# The same for many, and the parked keys.
TAKE = """
WITH parked AS (
    SELECT DISTINCT key FROM strangler_inbox_parked WHERE subscription = %s AND key = ANY(%s)
), received AS (
    INSERT INTO strangler_inbox_received (subscription, event_id, key, type, note, announced_at)
    SELECT %s, come.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
        AS come (event_id, key, type, note, announced_at)
    WHERE NOT EXISTS (SELECT FROM parked WHERE parked.key = come.key)
    ON CONFLICT DO NOTHING RETURNING event_id
)
SELECT ARRAY(SELECT key FROM parked), ARRAY(SELECT event_id FROM received)
"""
PARK = """
INSERT INTO strangler_inbox_parked
    (subscription, event_id, key, type, state, reason, headers, content_type, body)
SELECT %(subscription)s, %(event_id)s, %(key)s, %(type)s, %(state)s, %(reason)s, %(headers)s::jsonb,
       %(content_type)s, %(body)s
WHERE NOT EXISTS (
    SELECT FROM strangler_inbox_received WHERE subscription = %(subscription)s AND event_id = %(event_id)s
) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Delivery:
    """A message as it came, and the event in it; `event` is None where it can't be read, for `reason`."""

    message: Message
    event: Envelope | None
    reason: str = ""

    @classmethod
    def of(cls, message: Message) -> Delivery:
        try:
            return cls(message, envelope.read(message))
        except NotAnEvent as error:
            return cls(message, None, str(error))

    @property
    def identity(self) -> tuple[str, str, str]:
        """Event id, key and type; what can't be read is its own key, and known by its content."""
        if self.event:
            return self.event.id, self.event.key, self.event.type
        headers = json.dumps(dict(self.message.headers), sort_keys=True).encode()
        number = hashlib.sha256(headers + b"\0" + self.message.body).hexdigest()
        return f"unreadable-{number[:32]}", f"unreadable-{number[:32]}", ""


def receive(subscription: Subscription, deliveries: Sequence[Delivery]) -> None:
    """Settle deliveries, in their order: each one is handled now, was handled before, or is parked.

    Raises NotNow, OperationalError or InterfaceError when it is to be tried again, whole: what was settled by
    then is known and won't be repeated.
    """
    readable: list[tuple[Delivery, Envelope]] = []
    for one in deliveries:
        if one.event is None:
            park(subscription, one, "poison", one.reason)
        else:
            readable.append((one, one.event))
    for start in range(0, len(readable), subscription.batch):
        batch = readable[start : start + subscription.batch]
        try:
            if len(batch) > 1:  # one that is alone isn't tried twice: it may have called somebody
                _handle(subscription, batch)
                continue
        except Exception:
            if not _usable():
                raise
        for delivery, event in batch:
            _handle_alone(subscription, delivery, event)


def park(subscription: Subscription, delivery: Delivery, state: str, reason: str) -> None:
    """Put a delivery aside, as `poison` or `behind` one; one that is handled or parked already stays so."""
    event_id, key, type = delivery.identity
    traced = trace.id_of(delivery.event.traceparent) if delivery.event else None
    logger.warning(
        "%s parks %s of %s (%s): %s", subscription.name, event_id, key, state, reason,
        extra={"trace": traced} if traced else None,
    )  # fmt: skip
    metrics.handled.labels(subscription.name, "parked").inc()
    headers = {storable(name): storable(value) for name, value in delivery.message.headers.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            PARK,
            {
                "subscription": subscription.name, "event_id": event_id, "key": key, "type": type,
                "state": state, "reason": storable(reason), "headers": json.dumps(headers),
                "content_type": storable(delivery.message.content_type or "") or None,
                "body": delivery.message.body,
            },
        )  # fmt: skip


def call(subscription: Subscription, event: Envelope) -> None:
    """Hand an event to its handler, with its trace as the one of the work in hand."""
    with trace.handling(event, subscription.name):
        if event.note:
            logger.warning("%s handles %s, but %s", subscription.name, event.id, event.note)
        subscription.handle(event)


def lock_keys(subscription: Subscription, keys: Iterable[str]) -> None:
    """Keep others from settling events of these keys until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_KEYS, [subscription.name, sorted(keys)])


def note_received(subscription: Subscription, event: Envelope) -> bool:
    """Write down that an event that was parked is handled now; False if it was before."""
    with connection.cursor() as cursor:
        cursor.execute(RECEIVE_PARKED, [subscription.name, event.id, event.key, event.type, event.note])
        return cursor.fetchone() is not None


def _take(subscription: Subscription, events: Sequence[Envelope]) -> tuple[set[str], set[str]]:
    """Lock the keys, and write down what is handled now; returns the parked keys, and the ids of the rest
    that weren't handled before."""
    keys = sorted({one.key for one in events})
    lock_keys(subscription, keys)
    with connection.cursor() as cursor:
        # A statement of its own: it sees what was committed while the lock was waited for.
        if len(events) == 1:  # nearly always this is all: arrays take a third of such a transaction's time
            (one,) = events
            values = (subscription.name, one.id, one.key, one.type, one.note, one.time)
            cursor.execute(TAKE_ONE, [*values, subscription.name, one.key])
            if cursor.fetchone():
                return set(), {one.id}
        cursor.execute(TAKE, [subscription.name, keys, *_columns(subscription, events)])
        parked, received = cursor.fetchone()
    return set(parked), set(received)


def _columns(subscription: Subscription, events: Sequence[Envelope]) -> list[Any]:
    rows: list[tuple[Any, ...]] = [(one.id, one.key, one.type, one.note, one.time) for one in events]
    return [subscription.name, *(list(column) for column in zip(*rows, strict=True))]


def why(error: BaseException) -> str:
    """What went wrong, in a sentence's length."""
    text = str(error) if type(error).__name__ == "Poison" else f"{type(error).__name__}: {error}"
    return storable(text[:2000])


def storable(text: str) -> str:
    """The text without what PostgreSQL can't hold: NUL, and halves of characters."""
    return text.encode(errors="replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def _handle(subscription: Subscription, batch: Sequence[tuple[Delivery, Envelope]]) -> None:
    """Handle a batch in one transaction; whatever a handler raises undoes it whole."""
    handled: list[Envelope] = []
    with transaction.atomic():
        parked, fresh = _take(subscription, [event for _, event in batch])
        free = sum(event.key not in parked for _, event in batch)
        if known := free - len(fresh):
            logger.info("%s knows %d of %d events already", subscription.name, known, free)
        for delivery, event in batch:
            if event.key in parked:
                park(subscription, delivery, "behind", "an earlier event of its key is parked")
            elif event.id in fresh:
                fresh.discard(event.id)  # it may have come twice in one batch
                call(subscription, event)
                handled.append(event)
    metrics.handled.labels(subscription.name, "handled").inc(len(handled))
    for event in handled:
        if event.time:
            age = time.time() - event.time.timestamp()
            metrics.event_seconds.labels(subscription.name).observe(max(0.0, age))


def _handle_alone(subscription: Subscription, delivery: Delivery, event: Envelope) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            return _handle(subscription, [(delivery, event)])
        except NotNow:
            raise
        except (OperationalError, InterfaceError) as error:
            if is_fenced(error):
                raise NotNow(str(error)) from error
            if not _usable():
                raise
            if attempt == TRIES:
                park(subscription, delivery, "poison", why(error))
            time.sleep(0.05 * attempt)
        except Exception as error:
            if is_fenced(error):  # the rows are moving: whoever owns them then handles it
                raise NotNow(str(error)) from error
            if not _usable():
                raise
            logger.debug("%s failed on %s", subscription.name, event.id, exc_info=error)
            return park(subscription, delivery, "poison", why(error))
    return None


def _usable() -> bool:
    """Whether the database is still there; what fails without it says nothing about the event."""
    return connection.is_usable() if connection.connection is not None else False
