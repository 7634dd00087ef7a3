"""Brings parked keys back into motion: what an operator marked `retry` or `skip`, and all that waits behind.

Nothing of a key moves while its first parked event is `poison`. Once that one is handled or skipped, the rest
follows in order, and stops at the next one that fails.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connection, transaction

from strangler.chassis import envelope, metrics
from strangler.chassis.envelope import Message, NotAnEvent
from strangler.chassis.fence import is_fenced
from strangler.chassis.inbox.receiving import call, lock_keys, note_received, storable, why
from strangler.chassis.inbox.subscriptions import NotNow, Subscription

# Of each key the first; those that may move.
MOVING = """
SELECT key FROM (
    SELECT DISTINCT ON (key) key, state, position FROM strangler_inbox_parked
    WHERE subscription = %s ORDER BY key, position
) AS first WHERE state <> 'poison' ORDER BY position
"""
FIRST = """
SELECT event_id, state, type, headers::text, content_type, body FROM strangler_inbox_parked
WHERE subscription = %s AND key = %s ORDER BY position LIMIT 1
"""
SKIPPED = """
INSERT INTO strangler_inbox_received (subscription, event_id, key, type, outcome)
VALUES (%s, %s, %s, %s, 'skipped') ON CONFLICT DO NOTHING
"""
GONE = "DELETE FROM strangler_inbox_parked WHERE subscription = %s AND event_id = %s"
STILL_POISON = """
UPDATE strangler_inbox_parked SET state = 'poison', reason = %s, attempts = attempts + 1
WHERE subscription = %s AND event_id = %s
"""


def settle(subscription: Subscription) -> int:
    """Handle or skip what may move; returns how many events have left the car park.

    Raises NotNow as `receive` does.
    """
    settled = 0
    for (key,) in _rows(MOVING, subscription.name):
        while _settle_first(subscription, key):
            settled += 1
            metrics.handled.labels(subscription.name, "unparked").inc()
    return settled


def _settle_first(subscription: Subscription, key: str) -> bool:
    """Settle the first parked event of a key; False if there is none, or it stays."""
    event_id = ""
    try:
        with transaction.atomic():
            lock_keys(subscription, [key])
            found = _rows(FIRST, subscription.name, key)
            if not found or found[0][1] == "poison":
                return False
            event_id, state, type, headers, content_type, body = found[0]
            if state == "skip":
                _rows(SKIPPED, subscription.name, event_id, key, type)
            else:
                event = envelope.read(Message(json.loads(headers), content_type, bytes(body)))
                if note_received(subscription, event):
                    call(subscription, event)
            _rows(GONE, subscription.name, event_id)
            return True
    except NotNow:
        raise
    except Exception as error:
        if is_fenced(error):  # the rows are moving: whoever owns them then tries it again
            raise NotNow(str(error)) from error
        if not event_id or connection.connection is None or not connection.is_usable():
            raise
        reason = storable(str(error)) if isinstance(error, NotAnEvent) else why(error)
        _rows(STILL_POISON, reason, subscription.name, event_id)
        return False


def _rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
