"""Keeps the live comparator's sums in the control database, schema strangler_compare."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from strangler.compare.observation import SAMPLES_PER_DIFFERENCE
from strangler.compare.tally import FieldSample, Pair, Tally
from strangler.errors import StranglerError
from strangler.run.system import System

SCHEMA = Path(__file__).with_name("schema.sql")
KEPT_DAYS = 14
PAIRS = 20_000  # read at most, the newest


@dataclass
class Rows:
    """Counted rows of one capability, as they lie in the tables."""

    captured: int = 0
    dropped: int = 0
    shapes: int = 0
    shapes_different: int = 0
    outcomes: Sequence[tuple[str, str, str, str, int]] = ()
    fields: Sequence[tuple[str, str, str, str, bool, str, int]] = ()
    samples: Sequence[tuple[str, str, str, FieldSample]] = ()
    pairs: Sequence[Pair] = field(default=())


def open_store(system: System) -> Store:
    """A connection with the schema in place; StranglerError if the control database doesn't answer."""
    try:
        connection = psycopg.connect(system.databases["control"], autocommit=True, connect_timeout=5)
    except (psycopg.OperationalError, KeyError) as error:
        raise StranglerError(
            f"The control database doesn't answer: {str(error).strip()}. Nothing was read or changed. "
            "`strangler ps` shows what runs."
        ) from None
    return Store(connection)


@contextmanager
def connect(system: System) -> Iterator[Store]:
    """As `open_store`, and closed at the end."""
    opened = open_store(system)
    try:
        yield opened
    finally:
        opened.close()


class Store:
    """The tables of schema.sql. Every write adds to what is there, so several batches make one sum."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        with connection.transaction():
            # Two connects at once would both find the schema missing.
            connection.execute("select pg_advisory_xact_lock(hashtext('strangler_compare'))")
            connection.execute(SCHEMA.read_text().encode())

    def close(self) -> None:
        self._connection.close()

    def write(self, tallies: Iterable[Tally]) -> None:
        """Add tallies to the tables, in one transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for tally in tallies:
                _write(cursor, tally)

    def read(self, capability: str, since: datetime.datetime | None) -> Rows:
        """What was counted from the first whole second after `since` on."""
        since = since or datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        # Sums are kept by the second; what has a time of its own must not count from earlier than they do.
        whole = (
            since if not since.microsecond else since.replace(microsecond=0) + datetime.timedelta(seconds=1)
        )
        when = {"capability": capability, "since": whole}

        def rows(query: str) -> list[Any]:
            return self._connection.execute(query.encode(), when).fetchall()

        with self._connection.transaction():
            self._connection.execute("set transaction isolation level repeatable read read only")
            ((captured, dropped),) = rows(
                """select coalesce(sum(captured), 0)::bigint, coalesce(sum(dropped), 0)::bigint
                   from strangler_compare.intake where capability = %(capability)s and second >= %(since)s"""
            )
            ((shapes, shapes_different),) = rows(
                """select count(*), count(*) filter (where differed >= %(since)s)
                   from strangler_compare.shape where capability = %(capability)s and seen >= %(since)s"""
            )
            outcomes = rows(
                """select route, caller, outcome, reason, sum(requests)::bigint
                   from strangler_compare.outcome
                   where capability = %(capability)s and second >= %(since)s group by 1, 2, 3, 4"""
            )
            fields = rows(
                """select route, path, kind, verdict, critical, reason, sum(requests)::bigint
                   from strangler_compare.field
                   where capability = %(capability)s and second >= %(since)s group by 1, 2, 3, 4, 5, 6"""
            )
            samples = rows(
                """select route, path, kind,
                          extract(epoch from at)::float8, request, caller, control, candidate
                   from strangler_compare.sample where capability = %(capability)s and at >= %(since)s
                   order by route, path, kind, at"""
            )
            pairs = rows(
                f"""select route, extract(epoch from at)::float8, control, candidate
                    from strangler_compare.pair where capability = %(capability)s and at >= %(since)s
                    order by at desc limit {PAIRS}"""  # nosec B608 # a constant
            )
        return Rows(
            captured=captured,
            dropped=dropped,
            shapes=shapes,
            shapes_different=shapes_different,
            outcomes=outcomes,
            fields=fields,
            samples=[(route, path, kind, FieldSample(*rest)) for route, path, kind, *rest in samples],
            pairs=[Pair(*row) for row in pairs],
        )

    def forget(self, days: int = KEPT_DAYS) -> None:
        """Delete what is older."""
        for table, column in (
            ("intake", "second"), ("outcome", "second"), ("field", "second"),
            ("sample", "at"), ("shape", "seen"), ("pair", "at"),
        ):  # fmt: skip
            self._connection.execute(
                f"""delete from strangler_compare.{table}
                    where {column} < now() - make_interval(days => %s)""".encode(),  # nosec B608 # ours
                (days,),
            )


def _write(cursor: psycopg.Cursor[Any], tally: Tally) -> None:
    name = tally.capability.name
    # One order of keys for everybody who writes, so that two writers can't wait for each other.
    cursor.executemany(
        """insert into strangler_compare.intake as kept values (%s, to_timestamp(%s), %s, %s)
           on conflict (capability, second) do update
           set captured = kept.captured + excluded.captured, dropped = kept.dropped + excluded.dropped""",
        [(name, s, tally.captured[s], tally.dropped[s]) for s in sorted(tally.captured | tally.dropped)],
    )
    cursor.executemany(
        """insert into strangler_compare.outcome as kept
           values (%s, to_timestamp(%s), %s, %s, %s, %s, %s, %s)
           on conflict (capability, second, route, caller, status, outcome, reason) do update
           set requests = kept.requests + excluded.requests""",
        [
            (name, k.second, k.route, k.caller, k.status, k.outcome, k.reason, n)
            for k, n in sorted(tally.outcomes.items())
        ],
    )
    cursor.executemany(
        """insert into strangler_compare.field as kept
           values (%s, to_timestamp(%s), %s, %s, %s, %s, %s, %s, %s)
           on conflict (capability, second, route, path, kind, verdict, critical, reason) do update
           set requests = kept.requests + excluded.requests""",
        [
            (name, k.second, k.route, k.path, k.kind, k.verdict, k.critical, k.reason, n)
            for k, n in sorted(tally.fields.items())
        ],
    )
    cursor.executemany(
        """insert into strangler_compare.sample values (%s, %s, %s, %s, %s, to_timestamp(%s), %s, %s, %s, %s)
           on conflict (capability, route, path, kind, number) do update
           set at = excluded.at, request = excluded.request, caller = excluded.caller,
               control = excluded.control, candidate = excluded.candidate""",
        [
            (name, *key, int(one.at * 1000 + i) % SAMPLES_PER_DIFFERENCE,
             one.at, one.request, one.caller, one.control, one.candidate)
            for key, samples in sorted(tally.samples.items())
            for i, one in enumerate(samples)
        ],
    )  # fmt: skip
    cursor.executemany(
        """insert into strangler_compare.shape as kept
           values (%s, %s, to_timestamp(%s), to_timestamp(nullif(%s, 0)))
           on conflict (capability, fingerprint) do update
           set seen = greatest(kept.seen, excluded.seen),
               differed = greatest(kept.differed, excluded.differed)""",
        [(name, shape, seen, differed) for shape, (seen, differed) in sorted(tally.shapes.items())],
    )
    cursor.executemany(
        "insert into strangler_compare.pair values (%s, %s, to_timestamp(%s), %s, %s)",
        [(name, one.route, one.at, one.control, one.candidate) for one in tally.pairs],
    )
