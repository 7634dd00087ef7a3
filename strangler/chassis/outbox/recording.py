"""Records events beside the change that they tell of: one transaction, so either both happened or neither."""

from __future__ import annotations

import json

from django.db import connections

from strangler.chassis import envelope, trace
from strangler.chassis.envelope import Announcement

CHANNEL = "strangler_outbox"  # the relay and the subscribers that poll LISTEN here

# A key's lock is held until the end of the transaction and taken before seq is, so that of one key the order
# of seq is the order of the commits.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('strangler_outbox ' || %s, 0))"
RECORD = """
WITH counted AS (
    INSERT INTO strangler_outbox_key AS k (key, last) VALUES (%(key)s, 1)
    ON CONFLICT (key) DO UPDATE SET last = k.last + 1 RETURNING last
)
INSERT INTO strangler_outbox_event (id, partition, key, key_seq, type, version, data, headers)
SELECT %(id)s, (hashtextextended(%(key)s, 0) & 15)::smallint, %(key)s, last, %(type)s, %(version)s,
       %(data)s::jsonb, %(headers)s::jsonb
FROM counted, pg_notify('strangler_outbox', '')
"""


class OutsideTransaction(RuntimeError):
    """An event was to be recorded outside a transaction; nothing was recorded."""


def hold(*keys: str, using: str = "default") -> None:
    """Keep others from recording events of these keys until the transaction ends.

    Before a state is read that is to be announced: what others have announced of the key is seen then.
    """
    _insist_on_transaction(using)
    with connections[using].cursor() as cursor:
        cursor.executemany(LOCK, [[key] for key in sorted(set(keys))])


def record(*events: Announcement, traceparent: str | None = None, using: str = "default") -> list[str]:
    """Record events in the caller's transaction, in this order; returns their ids.

    Events of several keys are best recorded in one call: their locks are then taken in one order, and two
    transactions can't wait for each other. `traceparent` is that of the work in hand, if it isn't named.
    Raises OutsideTransaction, and EventRefused for an event that may not travel.
    """
    connection = connections[using]
    _insist_on_transaction(using)
    written = [envelope.write(one, traceparent=traceparent or trace.current()) for one in events]
    rows: list[dict[str, str | int]] = [
        {
            "id": one.id, "key": one.key, "type": one.type, "version": one.version,
            "data": message.body.decode(), "headers": json.dumps(message.headers),
        }
        for one, message in written
    ]  # fmt: skip
    with connection.cursor() as cursor:  # each statement for all events goes in one trip to the server
        cursor.executemany(LOCK, [[key] for key in sorted({one.key for one, _ in written})])
        cursor.executemany(RECORD, rows)
    trace.note_recorded({one.id: one.type for one, _ in written})
    return [one.id for one, _ in written]


def _insist_on_transaction(using: str) -> None:
    if not connections[using].in_atomic_block:
        raise OutsideTransaction(
            "An event is recorded in the transaction of the change that it tells of, and there is none. "
            "Nothing was recorded; wrap both in transaction.atomic()."
        )
