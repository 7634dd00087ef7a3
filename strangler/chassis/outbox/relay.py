"""The relay: takes recorded events to the broker, in order per key, and marks those that it has confirmed.

A relay leases partitions by advisory locks, which end with its session: another one takes over at once. Of
one key at most one event is on its way, so a refusal holds that key alone and reorders nothing. An event that
was confirmed but not marked, because the relay was killed in between, is sent again; the inbox knows it.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import amqp
import psycopg
from django.db import InterfaceError, OperationalError, connection

from strangler.chassis import broker, metrics, pulse, trace
from strangler.chassis.envelope import JSON_TYPE, recorded_headers
from strangler.chassis.outbox.recording import CHANNEL

PARTITIONS = 16
BATCH = 500  # events that are read, and marked, at a time
IN_FLIGHT = 500  # events that the broker may owe a confirmation for
POLL = 1.0  # seconds until the outbox is looked at without a notification
LEASE_EVERY = 0.5  # seconds between two looks for partitions that have become free
HELD_FOR = 0.5  # seconds that a refused event waits at first; twice as long each time, a minute at most
_LEASES = 0x57A2  # class of our advisory locks

logger = logging.getLogger(__name__)

LEASE = """
SELECT partition FROM generate_series(0, %s) AS partition
WHERE partition <> ALL(%s) AND pg_try_advisory_lock(%s, partition)
"""
WAITING = """
SELECT seq, id::text, key, key_seq, type || '.v' || version, data::text, headers::text
FROM strangler_outbox_event
WHERE published_at IS NULL AND partition = ANY(%s) AND seq <> ALL(%s) AND key <> ALL(ARRAY(
    SELECT key FROM strangler_outbox_event AS held
    WHERE published_at IS NULL AND attempts > 0 AND available_at > clock_timestamp()
))
ORDER BY seq LIMIT %s
"""
MARK = "UPDATE strangler_outbox_event SET published_at = clock_timestamp() WHERE seq = ANY(%s)"
HOLD = """
UPDATE strangler_outbox_event SET attempts = attempts + 1, last_error = %s,
    available_at = clock_timestamp() + least(%s * 2 ^ least(attempts, 10), 60) * interval '1 second'
WHERE seq = ANY(%s)
"""


class BrokerSilent(OSError):
    """The broker confirms nothing any more; what it hasn't confirmed is sent again."""


@dataclass(frozen=True)
class Row:
    """A recorded event on its way out; `body` is its data as JSON."""

    seq: int
    id: str
    key: str
    key_seq: int
    type: str
    body: str
    headers: dict[str, str]


@dataclass
class Flight:
    """What is on its way: rows that wait by key, rows that the broker has, and what it said of others."""

    waiting: dict[str, deque[Row]] = field(default_factory=dict)  # a key is in it while any row of it is here
    ready: deque[str] = field(default_factory=deque)  # keys of which nothing is sent
    sent: dict[int, Row] = field(default_factory=dict)  # by delivery tag
    confirmed: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    spans: dict[int, Any] = field(default_factory=dict)  # by delivery tag, of events whose trace is recorded

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if row.key not in self.waiting:
                self.waiting[row.key] = deque()
                self.ready.append(row.key)
            self.waiting[row.key].append(row)

    @property
    def here(self) -> list[int]:
        """The seq of every row that is neither confirmed nor refused yet."""
        unsent = [row.seq for rows in self.waiting.values() for row in rows]
        return unsent + [row.seq for row in self.sent.values()]

    def on_ack(self, tag: int, multiple: bool) -> None:
        for row in self._answered(tag, multiple):
            self.confirmed.append(row.seq)
            if self.waiting[row.key]:
                self.ready.append(row.key)
            else:
                del self.waiting[row.key]

    def on_nack(self, tag: int, multiple: bool) -> None:
        for row in self._answered(tag, multiple, refused=True):
            self.refused.append(row.seq)
            # The later ones of its key are read again once it is no longer held.
            del self.waiting[row.key]

    def _answered(self, tag: int, multiple: bool, *, refused: bool = False) -> list[Row]:
        # Tags rise in the order of sending, and a dict keeps it.
        tags = list(itertools.takewhile(lambda one: one <= tag, self.sent)) if multiple else [tag]
        for one in tags:
            trace.published(self.spans.pop(one, None), refused=refused)
        return [self.sent.pop(one) for one in tags]


class Relay:
    """One relay process's work; `most` limits the partitions that it leases, so that several can share."""

    def __init__(self, *, most: int = PARTITIONS) -> None:
        self._most = most
        self._leased: list[int] = []
        self._looked_for_leases = float("-inf")
        self._stopping = False

    def stop(self) -> None:
        """End `run` soon; what the broker hasn't confirmed by then is sent again by the next relay."""
        self._stopping = True

    def run(self, *, until_idle: bool = False) -> int:
        """Publish until `stop`, or until nothing is left that can go; returns how many were published.

        A broker or database that goes away is waited for; with `until_idle` its error is raised.
        """
        published, pause = 0, 0.1
        while not self._stopping:
            pulse.beat()
            try:
                with self._session() as session, broker.connected() as link:
                    pause = 0.1
                    channel = link.channel()
                    exchange = broker.declare_events(channel)
                    channel.confirm_select()
                    for count in self._batches(session, link, channel, exchange, until_idle):
                        published += count
                return published
            except (OSError, amqp.AMQPError, psycopg.Error, OperationalError, InterfaceError) as error:
                if until_idle:
                    raise
                logger.warning("the relay lost %s; it tries again in %.1f s", error, pause)
                time.sleep(pause)
                pause = min(2.0, pause * 2)
        return published

    def _batches(
        self, session: psycopg.Connection[Any], link: Any, channel: Any, exchange: str, until_idle: bool
    ) -> Iterator[int]:
        """Keep the flight filled; yields how many events each settling has marked."""
        flight, tags = Flight(), itertools.count(1)
        channel.events["basic_ack"].add(flight.on_ack)
        channel.events["basic_nack"].add(flight.on_nack)
        drained = False  # the outbox held less than a batch when it was last read
        try:
            while not self._stopping:
                pulse.beat()
                if not flight.ready and (not drained or not flight.sent):
                    yield self._settle(session, flight)
                    self._lease(session)
                    rows = self._read(session, flight)
                    flight.add(rows)
                    drained = len(rows) < BATCH
                    if not rows and not flight.sent:
                        if until_idle:
                            return
                        for _ in session.notifies(timeout=POLL, stop_after=1):
                            pass
                self._send(flight, channel, exchange, tags)
                if flight.sent:
                    self._hear(link)
        finally:
            # What was confirmed before the broker went away, or before a stop, needn't be sent again.
            self._settle(session, flight)

    def _send(self, flight: Flight, channel: Any, exchange: str, tags: Iterator[int]) -> None:
        while flight.ready and len(flight.sent) < IN_FLIGHT:
            row = flight.waiting[flight.ready.popleft()].popleft()
            tag = next(tags)
            flight.sent[tag] = row
            if span := trace.publishing(row.type, row.headers):
                flight.spans[tag] = span
            message = channel.prepare_message(
                row.body.encode(),
                content_type=JSON_TYPE,
                headers=row.headers | {"ce-sequence": str(row.key_seq)},
                properties={"delivery_mode": 2, "message_id": row.id},
            )
            channel.basic_publish(message, exchange, row.type)

    def _hear(self, link: Any) -> None:
        """Wait for a word of the broker, and take in what else it has said."""
        try:
            link.drain_events(timeout=broker.CONFIRMED_WITHIN)
        except TimeoutError:
            raise BrokerSilent(
                f"a broker that confirmed nothing in {broker.CONFIRMED_WITHIN:.0f} s"
            ) from None

    def _read(self, session: psycopg.Connection[Any], flight: Flight) -> list[Row]:
        rows = session.execute(WAITING, [self._leased, flight.here, BATCH])
        return [
            Row(seq, id, key, key_seq, type, body, recorded_headers(headers))
            for seq, id, key, key_seq, type, body, headers in rows
        ]

    def _settle(self, session: psycopg.Connection[Any], flight: Flight) -> int:
        """Mark what the broker has answered; returns how many it has confirmed."""
        count = len(flight.confirmed)
        if count:
            session.execute(MARK, [flight.confirmed])
            flight.confirmed.clear()
            metrics.relayed.labels("published").inc(count)
        if flight.refused:
            session.execute(HOLD, ["the broker refused it", HELD_FOR, flight.refused])
            metrics.relayed.labels("refused").inc(len(flight.refused))
            flight.refused.clear()
        return count

    def _lease(self, session: psycopg.Connection[Any]) -> None:
        wanted = self._most - len(self._leased)
        if wanted <= 0 or time.monotonic() - self._looked_for_leases < LEASE_EVERY:
            return
        self._looked_for_leases = time.monotonic()
        rows = session.execute(f"{LEASE} LIMIT {wanted:d}", [PARTITIONS - 1, self._leased, _LEASES])
        self._leased += [partition for (partition,) in rows]

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        """A session of our own in the outbox's database; the leases live as long as it does."""
        connection.ensure_connection()
        session: psycopg.Connection[Any] = connection.connection
        self._leased, self._looked_for_leases = [], float("-inf")
        try:
            # A mark that a crash of the server loses costs another sending, nothing else.
            session.execute("SET synchronous_commit = off")
            session.execute(f"LISTEN {CHANNEL}")
            yield session
        finally:
            connection.close()
