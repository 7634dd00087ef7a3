"""The relay: takes recorded events to the broker, in order per key, and marks those that it has confirmed.

A relay leases partitions by advisory locks, which end with its session: another one takes over at once. Of
one key at most one event is on its way, so a refusal holds that key alone and reorders nothing. An event that
was confirmed but not marked, because the relay was killed in between, is sent again; the inbox knows it.
"""

from __future__ import annotations

import json
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

from strangler.chassis import broker
from strangler.chassis.envelope import JSON_TYPE
from strangler.chassis.outbox.recording import CHANNEL

PARTITIONS = 16
BATCH = 500  # events that are read, and marked, at a time
IN_FLIGHT = 500  # events that the broker may owe a confirmation for
POLL = 1.0  # seconds until the outbox is looked at without a notification
LEASE_EVERY = 1.0  # seconds between two looks for partitions that have become free
CONFIRMED_WITHIN = 30.0  # seconds of silence after which the broker is connected to anew
HELD_FOR = 0.5  # seconds that a refused event waits at first; twice as long each time, a minute at most
_LEASES = 0x57A2  # class of our advisory locks

logger = logging.getLogger(__name__)

LEASE = """
SELECT partition FROM generate_series(0, %s) AS partition
WHERE partition <> ALL(%s) AND pg_try_advisory_lock(%s, partition)
"""
HELD = """
SELECT DISTINCT key FROM strangler_outbox_event
WHERE published_at IS NULL AND attempts > 0 AND available_at > clock_timestamp()
"""
WAITING = """
SELECT seq, key, key_seq, type || '.v' || version, data::text, headers::text FROM strangler_outbox_event
WHERE published_at IS NULL AND partition = ANY(%s) AND key <> ALL(%s)
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
    key: str
    key_seq: int
    type: str
    body: str
    headers: dict[str, str]


@dataclass
class Flight:
    """One batch on its way: what waits by key, what the broker has, and what it said."""

    waiting: dict[str, deque[Row]]
    ready: deque[str]
    sent: dict[int, Row] = field(default_factory=dict)
    confirmed: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Flight:
        waiting: dict[str, deque[Row]] = {}
        for row in rows:
            waiting.setdefault(row.key, deque()).append(row)
        return cls(waiting, deque(waiting))

    def on_ack(self, tag: int, multiple: bool) -> None:
        for row in self._answered(tag, multiple):
            self.confirmed.append(row.seq)
            if self.waiting[row.key]:
                self.ready.append(row.key)

    def on_nack(self, tag: int, multiple: bool) -> None:
        # The rest of the key isn't made ready: it waits for another batch.
        self.refused.extend(row.seq for row in self._answered(tag, multiple))

    def _answered(self, tag: int, multiple: bool) -> list[Row]:
        if not multiple:
            return [self.sent.pop(tag)]
        # Tags rise in the order of sending, and a dict keeps it.
        tags = [one for one in self.sent if one <= tag]
        return [self.sent.pop(one) for one in tags]


class Relay:
    """One relay process's work; `most` limits the partitions that it leases, so that several can share."""

    def __init__(self, *, most: int = PARTITIONS) -> None:
        self._most = most
        self._leased: list[int] = []
        self._looked_for_leases = float("-inf")
        self._stopping = False

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping = True

    def run(self, *, until_idle: bool = False) -> int:
        """Publish until `stop`, or until nothing is left that can go; returns how many were published.

        A broker or database that goes away is waited for; with `until_idle` its error is raised.
        """
        published, pause = 0, 0.1
        while not self._stopping:
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
        tag = 0
        while not self._stopping:
            self._lease(session)
            rows = self._read(session)
            if rows:
                flight = Flight.of(rows)
                channel.events["basic_ack"] = {flight.on_ack}
                channel.events["basic_nack"] = {flight.on_nack}
                try:
                    tag = self._fly(flight, link, channel, exchange, tag)
                finally:
                    # What was confirmed before the broker went away needn't be sent again.
                    self._settle(session, flight)
                yield len(flight.confirmed)
            elif until_idle:
                return
            if len(rows) < BATCH and not until_idle:
                for _ in session.notifies(timeout=0 if rows else POLL, stop_after=1):
                    pass

    def _fly(self, flight: Flight, link: Any, channel: Any, exchange: str, tag: int) -> int:
        """Send a batch and gather what the broker says; returns the tag of the last message."""
        while flight.ready or flight.sent:
            while flight.ready and len(flight.sent) < IN_FLIGHT:
                row = flight.waiting[flight.ready.popleft()].popleft()
                tag += 1
                flight.sent[tag] = row
                message = channel.prepare_message(
                    row.body.encode(),
                    content_type=JSON_TYPE,
                    headers=row.headers | {"ce-sequence": str(row.key_seq)},
                    properties={"delivery_mode": 2, "message_id": row.headers["ce-id"]},
                )
                channel.basic_publish(message, exchange, row.type)
            try:
                link.drain_events(timeout=CONFIRMED_WITHIN)
            except TimeoutError:
                raise BrokerSilent(f"a broker that confirmed nothing in {CONFIRMED_WITHIN:.0f} s") from None
        return tag

    def _read(self, session: psycopg.Connection[Any]) -> list[Row]:
        held = [key for (key,) in session.execute(HELD)]
        rows = session.execute(WAITING, [self._leased, held, BATCH])
        return [Row(*row[:5], headers=json.loads(row[5])) for row in rows]

    def _settle(self, session: psycopg.Connection[Any], flight: Flight) -> None:
        if flight.confirmed:
            session.execute(MARK, [flight.confirmed])
        if flight.refused:
            session.execute(HOLD, ["the broker refused it", HELD_FOR, flight.refused])

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
