"""Keeps the live comparator's sums in the control database, schema strangler_compare."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Json

from strangler.compare.footing import Footing, Laid
from strangler.compare.observation import SAMPLES_PER_DIFFERENCE, STALE
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


@dataclass(frozen=True)
class Hour:
    """Requests of one hour, the `number`-th since a moment (the first is 1).

    `answered` and `failed` count what clients got from the candidate, and how much of that was a 5xx.
    """

    number: int
    comparable: int = 0
    different: int = 0
    answered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Stretch:
    """Requests of one stretch of time: those compared, the different among them, and those too early to."""

    comparable: int = 0
    different: int = 0
    stale: int = 0


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
        when = {"capability": capability, "since": _whole(since)}

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

    def stretches(self, capability: str, begun: Sequence[datetime.datetime]) -> list[Stretch]:
        """The same for each stretch from one of these moments, in order, to the next; the last one is open.

        Read at one moment, so that what is stored meanwhile is in one stretch or in none.
        """
        found = self._connection.execute(
            """select width_bucket(second, %(begun)s::timestamptz[]),
                      coalesce(sum(requests) filter (where outcome <> 'not comparable'), 0)::bigint,
                      coalesce(sum(requests) filter (where outcome = 'different'), 0)::bigint,
                      coalesce(sum(requests) filter (where reason = %(stale)s), 0)::bigint
               from strangler_compare.outcome where capability = %(capability)s group by 1""",
            {"capability": capability, "begun": [_whole(one) for one in begun], "stale": STALE},
        )
        counted = {number: Stretch(*counts) for number, *counts in found}
        return [counted.get(number, Stretch()) for number in range(1, len(begun) + 1)]

    def hours(self, capability: str, since: datetime.datetime) -> list[Hour]:
        """The same by hours. One that began before what is kept is left out, since some of it is gone."""
        found = self._connection.execute(
            """with counted as (
                   select second, requests as comparable,
                          case outcome when 'different' then requests else 0 end as different,
                          0 as answered, 0 as failed
                   from strangler_compare.outcome
                   where capability = %(capability)s and outcome <> 'not comparable'
                   union all
                   select second, 0, 0, answered, failed from strangler_compare.intake
                   where capability = %(capability)s
               ), numbered as (
                   select floor(extract(epoch from second - %(since)s) / 3600)::int as hour, counted.*
                   from counted where second >= %(since)s
               )
               select hour + 1, sum(comparable)::bigint, sum(different)::bigint,
                      sum(answered)::bigint, sum(failed)::bigint
               from numbered
               where %(since)s + make_interval(hours => hour) > now() - make_interval(days => %(days)s)
               group by hour order by hour""",
            {"capability": capability, "since": _whole(since), "days": KEPT_DAYS},
        )
        return [Hour(*row) for row in found]

    def critical(self, capability: str, since: datetime.datetime) -> list[tuple[str, str, str, int]]:
        """Critical fields that differed without an excuse: route, path, kind, requests."""
        found = self._connection.execute(
            """select route, path, kind, sum(requests)::bigint from strangler_compare.field
               where capability = %s and second >= %s and critical
               group by 1, 2, 3 order by 4 desc, 1, 2, 3""",
            (capability, _whole(since)),
        )
        return found.fetchall()

    # ── What evidence rests on ───────────────────────────────────────────────────────────────────

    def lay(self, capability: str, footing: Footing) -> Laid:
        """Write the footing down if it isn't the last one; evidence counts from then.

        A home whose version isn't in it hasn't told one, and is taken to be as it was.
        """
        with self._connection.transaction():
            self._connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"footing {capability}",))
            last = self.laid(capability)
            before = last.footing if last else Footing({}, {})
            known = Footing({**before.versions, **footing.versions}, footing.rules)
            if last and known == before:
                return last
            reason = before.change_to(known) if last else "the comparator began"
            self._connection.execute(
                """insert into strangler_compare.footing (capability, versions, rules, reason)
                   values (%s, %s, %s, %s)""",
                (capability, Json(known.versions), Json(known.rules), reason),
            )
            laid = self.laid(capability)
            assert laid is not None  # written this moment
            return laid

    def laid(self, capability: str) -> Laid | None:
        """The footing that holds now, or None where no comparator has written one down."""
        row = self._connection.execute(
            """select versions, rules, since, reason from strangler_compare.footing
               where capability = %s order by since desc limit 1""",
            (capability,),
        ).fetchone()
        return Laid(Footing(row[0], row[1]), row[2], row[3]) if row else None

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


def _whole(since: datetime.datetime | None) -> datetime.datetime:
    """The first whole second: sums are kept by it, and what has its own time counts from no earlier."""
    since = since or datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return since if not since.microsecond else since.replace(microsecond=0) + datetime.timedelta(seconds=1)


def _write(cursor: psycopg.Cursor[Any], tally: Tally) -> None:
    name = tally.capability.name
    # One order of keys for everybody who writes, so that two writers can't wait for each other.
    cursor.executemany(
        """insert into strangler_compare.intake as kept
               (capability, second, captured, dropped, answered, failed)
           values (%s, to_timestamp(%s), %s, %s, %s, %s)
           on conflict (capability, second) do update
           set captured = kept.captured + excluded.captured, dropped = kept.dropped + excluded.dropped,
               answered = kept.answered + excluded.answered, failed = kept.failed + excluded.failed""",
        [
            (name, s, tally.captured[s], tally.dropped[s], tally.answered[s], tally.failed[s])
            for s in sorted(tally.captured | tally.dropped)
        ],
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
