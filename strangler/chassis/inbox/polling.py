"""The embedded way: without a broker a subscription reads the publishers' outboxes itself.

An outbox is read in snapshot windows: what a new snapshot sees and the last one didn't, by seq. A cursor on
seq would pass over what commits late, and one on the transaction's id would reorder a key. The position is
saved after the events are settled; what a killed process reads again, its inbox knows. Only the home that
owns a subscription's rows reads for it.

Settings: EVENTS_PUBLISHERS, the name of each publishing home with its database's URL.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, connection

from strangler.chassis import pulse
from strangler.chassis.envelope import JSON_TYPE, Message, recorded_headers
from strangler.chassis.inbox.parking import settle
from strangler.chassis.inbox.receiving import Delivery, receive
from strangler.chassis.inbox.subscriptions import NotNow, Owned, Subscription, attempt

WINDOW = 500  # events that are read at a time
POLL = 0.5  # seconds until an outbox is looked at without a notification
LONGEST_PAUSE = 1.0  # seconds after something that may be over soon; the first time a tenth of it
logger = logging.getLogger(__name__)

READ = """
SELECT seq, key_seq, data::text, headers::text FROM strangler_outbox_event
WHERE type = ANY(%(types)s) AND xid >= pg_snapshot_xmin(%(low)s::pg_snapshot) AND seq > %(reached)s
  AND pg_visible_in_snapshot(xid, %(high)s::pg_snapshot)
  AND NOT pg_visible_in_snapshot(xid, %(low)s::pg_snapshot)
ORDER BY seq LIMIT %(limit)s
"""
POSITION = """
INSERT INTO strangler_inbox_position AS p (subscription, publisher, types) VALUES (%s, %s, %s)
ON CONFLICT (subscription, publisher) DO UPDATE SET types = excluded.types
RETURNING p.low::text, p.high::text, p.reached
"""
MOVE = """
UPDATE strangler_inbox_position SET low = %s::pg_snapshot, high = %s::pg_snapshot, reached = %s
WHERE subscription = %s AND publisher = %s
"""


@dataclass
class Reader:
    """One subscription's place in one publisher's outbox."""

    subscription: Subscription
    publisher: str
    low: str
    high: str | None
    reached: int

    @classmethod
    def at(cls, subscription: Subscription, publisher: str) -> Reader:
        """Where the subscription last was; the beginning where it never was."""
        with connection.cursor() as cursor:
            cursor.execute(POSITION, [subscription.name, publisher, list(subscription.types)])
            return cls(subscription, publisher, *cursor.fetchone())

    def step(self, session: psycopg.Connection[Any]) -> int:
        """Settle the next events of the window, and move on; returns how many there were."""
        fresh = self.high is None
        if self.high is None:
            row = session.execute("SELECT pg_current_snapshot()::text").fetchone()
            assert row is not None
            self.high = row[0]
        asked = {"types": list(self.subscription.types), "low": self.low, "high": self.high}
        rows = session.execute(READ, asked | {"reached": self.reached, "limit": WINDOW}).fetchall()
        receive(self.subscription, [_delivery(*row[1:]) for row in rows])
        if len(rows) < WINDOW:
            self.low, self.high, self.reached = self.high, None, 0
        else:
            self.reached = rows[-1][0]
        if rows or not fresh:  # an empty window is remembered here, and costs nobody a write
            with connection.cursor() as cursor:
                place = [self.low, self.high, self.reached, self.subscription.name, self.publisher]
                cursor.execute(MOVE, place)
        return len(rows)


class Poller:
    """One consumer process's work on some subscriptions, without a broker."""

    def __init__(self, subscriptions: Iterable[Subscription], publishers: Mapping[str, str]) -> None:
        self._owned = Owned(subscriptions)
        self._publishers = publishers
        self._stopping = False

    def stop(self) -> None:
        """End `run` after the window in hand."""
        self._stopping = True

    def run(self, *, until_idle: bool = False) -> None:
        """Read until `stop`, or until there is nothing more.

        A database that goes away is waited for; with `until_idle` its error is raised.
        """
        pause = 0.1
        while not self._stopping:
            pulse.beat()
            try:
                with self._sessions() as sessions:
                    readers = [Reader.at(s, p) for s in self._owned.now() for p in self._publishers]
                    for done in self._read(sessions, readers, until_idle):
                        pause = 0.1
                        if done:
                            return
            except (psycopg.Error, OperationalError, InterfaceError, NotNow) as error:
                connection.close()
                if until_idle:
                    raise
                logger.warning("reading outboxes: %r; it is tried again in %.1f s", error, pause)
                time.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _read(
        self, sessions: Mapping[str, psycopg.Connection[Any]], readers: list[Reader], until_idle: bool
    ) -> Iterator[bool]:
        """Round by round, whether that is all; until it owns the rows of other subscriptions than it did."""
        while not self._stopping:
            pulse.beat()
            if self._owned.have_changed():
                return
            reading = (partial(one.step, sessions[one.publisher]) for one in readers)
            count = sum(attempt([*reading, *(partial(settle, one) for one in self._owned.known)]))
            yield not count and until_idle
            if not count:
                _wait(list(sessions.values()))

    @contextmanager
    def _sessions(self) -> Iterator[dict[str, psycopg.Connection[Any]]]:
        with ExitStack() as stack:
            sessions = {
                name: stack.enter_context(psycopg.connect(url, autocommit=True, connect_timeout=5))
                for name, url in self._publishers.items()
            }
            for session in sessions.values():
                session.execute("LISTEN strangler_outbox")
            yield sessions


def _wait(sessions: list[psycopg.Connection[Any]]) -> None:
    """Wait for a notification; with several publishers, for a fair share of the time on each."""
    for session in sessions:
        if any(True for _ in session.notifies(timeout=POLL / len(sessions), stop_after=1)):
            return


def _delivery(key_seq: int, data: str, headers: str) -> Delivery:
    every = recorded_headers(headers) | {"ce-sequence": str(key_seq)}
    return Delivery.of(Message(every, JSON_TYPE, data.encode()))
