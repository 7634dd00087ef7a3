"""What the homes' databases say of events: outboxes, inboxes, what is parked, and an event's way.

The kit reads and marks the tables that the chassis makes (`strangler_outbox_…`, `strangler_inbox_…`); the
home's consumer does what they are marked for. No home and no broker is asked.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from strangler.errors import StranglerError, UsageError


@dataclass(frozen=True)
class Outbox:
    """A home's outbox. `waiting` are unpublished, since `oldest` seconds; None where nothing relays."""

    home: str
    recorded: int
    waiting: int | None
    oldest: float | None
    held_keys: int


@dataclass(frozen=True)
class Inbox:
    """A subscription at a home; `p50` and `p99`: milliseconds from announced to handled, of the last 1,000.
    What was parked or replayed isn't among those: it waited for a person.

    `unread` counts what it has yet to read of outboxes that it polls; None where it hears by a broker.
    """

    home: str
    subscription: str
    handled: int
    p50: float | None
    p99: float | None
    unread: int | None
    parked: int
    parked_keys: int


@dataclass(frozen=True)
class Parked:
    """One parked event: its own `state` (poison, behind, retry, skip), and how many wait behind it."""

    home: str
    subscription: str
    event: str
    key: str
    type: str
    state: str
    attempts: int
    reason: str
    since: datetime.datetime
    behind: int


@dataclass(frozen=True)
class Step:
    """One thing that happened to an event."""

    at: datetime.datetime
    home: str
    event: str
    what: str


class Databases:
    """The homes' databases, by the home's name."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls

    def lag(self) -> tuple[list[Outbox], list[Inbox]]:
        """Every outbox and every subscription that has heard anything."""
        positions = [
            (home, *row)
            for home, session in self._with("strangler_inbox_position")
            for row in session.execute(
                "SELECT subscription, publisher, types, low::text, high::text, reached "
                "FROM strangler_inbox_position"
            )
        ]
        polled = {publisher for _, _, publisher, *_ in positions}
        outboxes: list[Outbox] = []
        unread: dict[tuple[str, str], int] = {}
        for home, session in self._with("strangler_outbox_event"):
            recorded, waiting, oldest, published, held = _one(session, _OUTBOX)
            relays = published or home not in polled
            outboxes.append(
                Outbox(home, recorded, waiting if relays else None, oldest if relays else None, held)
            )
            for reader, subscription, publisher, types, low, high, reached in positions:
                if publisher == home:
                    place = {"types": types, "low": low, "high": high, "reached": reached}
                    (count,) = _one(session, _UNREAD, place)
                    unread[reader, subscription] = unread.get((reader, subscription), 0) + count
        inboxes = [
            Inbox(home, name, handled, p50, p99, unread.get((home, name)), parked, keys)
            for home, session in self._with("strangler_inbox_received")
            for name, handled, p50, p99, parked, keys in session.execute(_INBOX)
        ]
        return outboxes, inboxes

    def parked(self, subscription: str | None = None) -> list[Parked]:
        """The first parked event of every key."""
        return [
            Parked(home, *row)
            for home, session in self._with("strangler_inbox_parked")
            for row in session.execute(_PARKED, {"subscription": subscription})
        ]

    def mark(
        self, state: str, event: str | None, subscription: str | None, data: str | None = None
    ) -> list[Parked]:
        """Mark parked events as `retry` or `skip`, one or all of a subscription; returns them as they were.

        `data` is JSON that takes the place of the event's own. Raises UsageError when nothing fits.
        """
        found = [
            one for one in self.parked(subscription) if one.state == "poison" and event in (None, one.event)
        ]
        if not found:
            raise UsageError(self._why_not(event, subscription))
        for home, session in self._with("strangler_inbox_parked"):
            with session.transaction():
                for one in found:
                    if one.home == home:
                        session.execute(_MARK, [state, data, data, one.subscription, one.event])
        return found

    def replay(
        self,
        subscription: str,
        *,
        event: str | None = None,
        key: str | None = None,
        since: datetime.datetime | None = None,
        dry_run: bool = False,
    ) -> int:
        """Let a subscription handle again what it has handled; returns how many events that are.

        They are taken from the outboxes, in their order, and newer ones of their keys wait behind them.
        Raises UsageError when nobody knows it or it has handled nothing like that, and StranglerError when an
        event isn't in any outbox any more or its key has parked events: then nothing was changed.
        """
        asked = {"subscription": subscription, "event": event, "key": key, "since": since}
        for _, session in self._with("strangler_inbox_received"):
            with session.transaction():
                ids = [one for (one,) in session.execute(_HANDLED, asked)]
                if not ids:
                    continue
                messages = self._recorded(ids)
                if gone := set(ids) - {str(one[0]) for one in messages}:
                    raise StranglerError(
                        f"{len(gone)} of {len(ids)} events are in no home's outbox any more, {min(gone)} "
                        "among them, so they can't be replayed. Nothing was changed."
                    )
                keys = sorted({one[1] for one in messages})
                session.execute(_LOCK, [subscription, keys])
                row = session.execute(_BUSY, [subscription, keys]).fetchone()
                if row:
                    raise StranglerError(
                        f"{row[0]} has parked events in {subscription}; replayed ones would come after them. "
                        "Nothing was changed. Retry or skip those first: `strangler events parked`."
                    )
                if not dry_run:
                    session.execute(_FORGET, [subscription, ids])
                    for message in messages:
                        session.execute(_AGAIN, [subscription, *message])
                return len(ids)
        self._require(subscription)
        raise UsageError(
            f"{subscription!r} has handled no such event at any home. Nothing was changed; "
            "`strangler events trace ID` shows who has handled an event."
        )

    def trace(self, wanted: str) -> list[Step]:
        """What happened to an event, or to those of a trace (32 hexadecimal digits), in order of time.

        Raises StranglerError when no home knows it.
        """
        steps, ids = [], [wanted]
        for home, session in self._with("strangler_outbox_event"):
            for row in session.execute(_WAY_OUT, {"wanted": wanted}):
                event, type, key, created, published, attempts, error = row
                ids.append(event)
                steps.append(Step(created, home, event, f"recorded: {type} of {key}"))
                if published:
                    tries = f", after {attempts} refusals ({error})" if attempts else ""
                    steps.append(Step(published, home, event, f"published{tries}"))
        for home, session in self._with("strangler_inbox_received"):
            for event, name, outcome, note, at in session.execute(_WAY_IN, [ids]):
                said = f"{outcome} by {name}" + (f"; {note}" if note else "")
                steps.append(Step(at, home, event, said))
            for event, name, state, reason, at in session.execute(_WAY_ASIDE, [ids]):
                steps.append(Step(at, home, event, f"parked by {name} ({state}): {reason}"))
        if not steps:
            raise StranglerError(
                f"No home knows an event or a trace {wanted!r}. A trace's id is the answer's x-trace-id, and "
                "leads to events only if the request announced some; `strangler trace` lists the latest."
            )
        return sorted(steps, key=lambda step: (step.at, step.event))

    def _recorded(self, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """Id, key, type, headers and body of events, in the order of their outboxes."""
        return [
            row
            for _, session in self._with("strangler_outbox_event")
            for row in session.execute(_RECORDED, [list(ids)])
        ]

    def _require(self, subscription: str) -> None:
        """UsageError for a subscription that no home's inbox knows."""
        known = {
            name
            for _, session in self._with("strangler_inbox_received")
            for (name,) in session.execute(_NAMES)
        }
        if subscription not in known:
            raise UsageError(
                f"No subscription {subscription!r} has heard anything at any home. Nothing was changed; "
                f"there are: {', '.join(sorted(known)) or 'none yet'}."
            )

    def _why_not(self, event: str | None, subscription: str | None) -> str:
        if subscription:
            self._require(subscription)
        where = f" in {subscription!r}" if subscription else ""
        for _, session in self._with("strangler_inbox_parked"):
            row = session.execute(_FIRST_OF, {"event": event, "subscription": subscription}).fetchone()
            if row and row[0] != event:
                return (
                    f"{event} waits behind {row[0]}, which is the one to retry or skip. Nothing was changed."
                )
            if row:
                return f"{event} is marked already ({row[1]}); its consumer hasn't got to it yet."
        named = f"{event!r} isn't parked" if event else "Nothing is parked"
        return f"{named}{where}. Nothing was changed; `strangler events parked` lists what is."

    def _with(self, table: str) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
        """A session with each database that has a table; homes that share a database count once."""
        seen: set[str] = set()
        for home, url in self._urls.items():
            if url in seen:
                continue
            seen.add(url)
            with _session(home, url) as session:
                if session.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,):
                    yield home, session


def checked_json(text: str) -> str:
    """An edited event's data; UsageError unless it is a JSON object."""
    try:
        if isinstance(json.loads(text), dict):
            return text
    except ValueError as error:
        raise UsageError(f"--data isn't JSON: {error}. Nothing was changed.") from None
    raise UsageError("--data has to be a JSON object. Nothing was changed.")


@contextmanager
def _session(home: str, url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5, options="-c timezone=UTC") as session:
            yield session
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise StranglerError(
            f"The database of {home} can't be used: {reason}. Nothing was changed there."
        ) from error


def _one(session: psycopg.Connection[Any], statement: str, values: Any = None) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = session.execute(statement, values).fetchone()
    assert row is not None
    return row


_OUTBOX = """
SELECT count(*), count(*) FILTER (WHERE published_at IS NULL),
       extract(epoch FROM clock_timestamp() - min(created) FILTER (WHERE published_at IS NULL))::float8,
       count(published_at) > 0,
       count(DISTINCT key) FILTER (WHERE published_at IS NULL AND attempts > 0)
FROM strangler_outbox_event
"""
_UNREAD = """
SELECT count(*) FROM strangler_outbox_event
WHERE type = ANY(%(types)s) AND NOT pg_visible_in_snapshot(xid, %(low)s::pg_snapshot)
  AND NOT coalesce(pg_visible_in_snapshot(xid, %(high)s::pg_snapshot) AND seq <= %(reached)s, false)
"""
_NAMES = """
SELECT subscription AS name FROM strangler_inbox_received
UNION SELECT subscription FROM strangler_inbox_parked
UNION SELECT subscription FROM strangler_inbox_position
"""
_INBOX = f"""
SELECT name, (SELECT count(*) FROM strangler_inbox_received WHERE subscription = name), p50, p99,
       (SELECT count(*) FROM strangler_inbox_parked WHERE subscription = name),
       (SELECT count(DISTINCT key) FROM strangler_inbox_parked WHERE subscription = name)
FROM ({_NAMES}) AS names, LATERAL (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY took) AS p50,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY took) AS p99
    FROM (
        SELECT extract(epoch FROM handled_at - announced_at)::float8 * 1000 AS took
        FROM strangler_inbox_received
        WHERE subscription = name AND outcome = 'handled' AND announced_at IS NOT NULL
        ORDER BY handled_at DESC LIMIT 1000
    ) AS latest
) AS times ORDER BY name
"""  # nosec B608 # the names are ours
_PARKED = """
SELECT DISTINCT ON (subscription, key) subscription, event_id, key, type, state, attempts, reason, parked_at,
       count(*) OVER (PARTITION BY subscription, key) - 1
FROM strangler_inbox_parked
WHERE subscription = coalesce(%(subscription)s, subscription)
ORDER BY subscription, key, position
"""
_MARK = """
UPDATE strangler_inbox_parked
SET state = %s, body = CASE WHEN %s::text IS NULL THEN body ELSE convert_to(%s, 'UTF8') END
WHERE subscription = %s AND event_id = %s AND state = 'poison'
"""
_FIRST_OF = """
SELECT first.event_id, first.state FROM strangler_inbox_parked AS asked, LATERAL (
    SELECT event_id, state FROM strangler_inbox_parked
    WHERE subscription = asked.subscription AND key = asked.key ORDER BY position LIMIT 1
) AS first
WHERE asked.event_id = %(event)s AND asked.subscription = coalesce(%(subscription)s, asked.subscription)
"""
_HANDLED = """
SELECT event_id FROM strangler_inbox_received
WHERE subscription = %(subscription)s AND event_id = coalesce(%(event)s, event_id)
  AND key = coalesce(%(key)s, key) AND handled_at >= coalesce(%(since)s::timestamptz, '-infinity')
"""
_RECORDED = """
SELECT id::text, key, type, (headers || jsonb_build_object('ce-sequence', key_seq::text))::text, data::text
FROM strangler_outbox_event WHERE id::text = ANY(%s) ORDER BY seq
"""
# The same locks as the consumer's: nothing of these keys is settled meanwhile.
_LOCK = """
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended('strangler_inbox ' || %s || ' ' || key, 0) AS number
    FROM unnest(%s::text[]) AS key ORDER BY number
) AS numbers
"""
_BUSY = "SELECT key FROM strangler_inbox_parked WHERE subscription = %s AND key = ANY(%s) LIMIT 1"
_FORGET = "DELETE FROM strangler_inbox_received WHERE subscription = %s AND event_id = ANY(%s)"
_AGAIN = """
INSERT INTO strangler_inbox_parked
    (subscription, event_id, key, type, state, reason, headers, content_type, body)
VALUES (%s, %s, %s, %s, 'behind', 'it is replayed', %s::jsonb, 'application/json', convert_to(%s, 'UTF8'))
"""
_WAY_OUT = """
SELECT id::text, type || '.v' || version, key, created, published_at, attempts, last_error
FROM strangler_outbox_event
WHERE id::text = %(wanted)s OR split_part(headers ->> 'ce-traceparent', '-', 2) = %(wanted)s
"""
_WAY_IN = """
SELECT event_id, subscription, outcome, note, handled_at FROM strangler_inbox_received
WHERE event_id = ANY(%s)
"""
_WAY_ASIDE = """
SELECT event_id, subscription, state, reason, parked_at FROM strangler_inbox_parked WHERE event_id = ANY(%s)
"""
