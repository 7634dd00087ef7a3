"""Verifications as they are recorded, at the follower: what the gate on rows looks at."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from strangler.movement.errors import FollowFailed
from strangler.movement.tables import Connection, connection, sentence
from strangler.movement.verify import Verified

KEPT = 200  # the latest of a capability's rounds
NAMED = 100  # rows that a round names; it counts them all


@dataclass(frozen=True)
class Round:
    """A verification of all of a capability's tables that ran to its end.

    Of `rows`, `suspects` differed at first sight, `differing` do, and of `unsettled` nothing can be said; the
    first of these two are `named` in sentences. Times are those of the follower's clock.
    """

    began: datetime.datetime
    ended: datetime.datetime
    tables: tuple[str, ...]
    rows: int
    suspects: int
    differing: int
    unsettled: int
    named: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not self.differing and not self.unsettled

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


def record(follower_url: str, capability: str, found: Verified) -> None:
    """Keep what a verification found; FollowFailed where it can't be kept."""
    unsettled = [f"{table.name} ({', '.join(key)})" for table in found.tables for key in table.unsettled]
    named = [
        *(str(one) for one in found.differences[:NAMED]),
        *(f"{row} never settles: the owner keeps writing it" for row in unsettled[:NAMED]),
    ]
    with _recording(follower_url) as follower:
        follower.execute(
            """INSERT INTO strangler_movement.round
                   (capability, began_at, tables, rows, suspects, differing, unsettled, named)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                capability,
                found.began,
                [table.name for table in found.tables],
                sum(table.rows for table in found.tables),
                sum(table.suspects for table in found.tables),
                len(found.differences),
                len(unsettled),
                named,
            ],
        )
        follower.execute(
            """DELETE FROM strangler_movement.round WHERE capability = %s AND id <= (
                   SELECT id FROM strangler_movement.round
                   WHERE capability = %s ORDER BY id DESC OFFSET %s LIMIT 1)""",
            [capability, capability, KEPT],
        )


def record_problem(follower_url: str, capability: str, tables: Sequence[str], reason: str) -> None:
    """Keep that a verification was stopped, and why; once while the reason stays the same."""
    with _recording(follower_url) as follower:
        follower.execute(
            """INSERT INTO strangler_movement.round
                   (capability, began_at, tables, rows, suspects, differing, unsettled, named, problem)
               SELECT %(capability)s, clock_timestamp(), %(tables)s, 0, 0, 0, 0, '{}', %(reason)s
               WHERE %(reason)s IS DISTINCT FROM (
                   SELECT problem FROM strangler_movement.round
                   WHERE capability = %(capability)s ORDER BY id DESC LIMIT 1)""",
            {"capability": capability, "tables": list(tables), "reason": reason},
        )


@contextmanager
def _recording(follower_url: str) -> Iterator[Connection]:
    try:
        with connection(follower_url, "follower") as follower:
            yield follower
    except psycopg.Error as error:
        raise FollowFailed(
            f"What a verification found can't be recorded: {sentence(error)} Nothing else was changed."
        ) from error


def last(follower: Connection, capability: str, since: datetime.datetime) -> Round | None:
    """The last that ran to its end, among those that began after `since`."""
    found = follower.execute(
        """SELECT began_at, ended_at, tables, rows, suspects, differing, unsettled, named
           FROM strangler_movement.round
           WHERE capability = %s AND began_at >= %s AND problem IS NULL ORDER BY ended_at DESC LIMIT 1""",
        [capability, since],
    ).fetchone()
    if found is None:
        return None
    began, ended, tables, rows, suspects, differing, unsettled, named = found
    return Round(began, ended, tuple(tables), rows, suspects, differing, unsettled, tuple(named))


def age(follower: Connection, one: Round) -> float:
    """Seconds since its end."""
    found = follower.execute(
        "SELECT extract(epoch FROM clock_timestamp() - %s)::float8", [one.ended]
    ).fetchone()
    return float(found[0]) if found else 0.0


def problem(follower: Connection, capability: str, since: datetime.datetime) -> str | None:
    """Why the latest was stopped; None where it ran to its end, or none began."""
    found = follower.execute(
        """SELECT problem FROM strangler_movement.round
           WHERE capability = %s AND began_at >= %s ORDER BY id DESC LIMIT 1""",
        [capability, since],
    ).fetchone()
    return found[0] if found else None
