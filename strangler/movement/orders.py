"""Which capabilities' tables are to follow: ordered by a move to shadow, obeyed by the follower's process.

Kept in the follower's own database, beside what obeying it has to remember.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from strangler.movement.backfill import lay_schema
from strangler.movement.tables import Connection

Orders = Mapping[
    str, "tuple[str, tuple[str, ...]]"
]  # by capability: the home that is followed, and its tables


def order(follower: Connection, capability: str, owner: str, tables: Sequence[str], by: str) -> bool:
    """Have the tables of a capability follow those of `owner`; False where that was ordered already."""
    lay_schema(follower)
    changed = follower.execute(
        """INSERT INTO strangler_movement.ordered (capability, owner, tables, by) VALUES (%s, %s, %s, %s)
           ON CONFLICT (capability) DO UPDATE SET owner = excluded.owner, tables = excluded.tables
           WHERE (ordered.owner, ordered.tables) <> (excluded.owner, excluded.tables)""",
        [capability, owner, list(tables), by],
    ).rowcount
    return changed > 0


def withdraw(follower: Connection, capability: str, tables: Sequence[str]) -> tuple[str, ...]:
    """Have a capability follow no more; those of its tables that no other order names.

    Waits for a follower that is just beginning, so that none begins after this.
    """
    lay_schema(follower)
    with follower.transaction():
        found = follower.execute(
            "DELETE FROM strangler_movement.ordered WHERE capability = %s RETURNING tables", [capability]
        ).fetchone()
        left = {table for _, others in ordered(follower).values() for table in others}
    named = dict.fromkeys([*tables, *(found[0] if found else ())])
    return tuple(name for name in named if name not in left)


def end(follower: Connection, tables: Sequence[str]) -> None:
    """Have none of `tables` follow any more, whichever capability ordered it: they are gone."""
    lay_schema(follower)
    with follower.transaction():
        follower.execute(
            """UPDATE strangler_movement.ordered
               SET tables = ARRAY(SELECT name FROM unnest(tables) AS name WHERE name <> ALL(%(gone)s))
               WHERE tables && %(gone)s""",
            {"gone": list(tables)},
        )
        follower.execute("DELETE FROM strangler_movement.ordered WHERE tables = '{}'")


def turn_round(before: Connection, after: Connection, tables: Sequence[str], owner: str) -> None:
    """Take every order of `tables` away from one home and give it to the other, to follow `owner`.

    Given before it is taken away: killed in between, it is done again.
    """
    lay_schema(before)
    lay_schema(after)
    found = before.execute(
        "SELECT capability, tables, by FROM strangler_movement.ordered WHERE tables && %s", [list(tables)]
    ).fetchall()
    for capability, its_tables, by in found:
        order(after, capability, owner, its_tables, by)
    before.execute("DELETE FROM strangler_movement.ordered WHERE tables && %s", [list(tables)])


def follower_name(follower: Connection) -> str | None:
    """What owners know this follower by, once nothing is ordered any more; None while it is needed."""
    found = follower.execute(
        """SELECT follower::text FROM strangler_movement.watermark
           WHERE NOT EXISTS (SELECT FROM strangler_movement.ordered)"""
    ).fetchone()
    return found[0] if found else None


def forget(follower: Connection, tables: Sequence[str]) -> None:
    """Forget how these tables followed, and the watermark, once nothing is ordered any more. Rows stay."""
    with follower.transaction():
        for kept in ("followed", "backfill_progress"):
            follower.execute(
                sql.SQL("DELETE FROM {} WHERE table_name = ANY(%s)").format(
                    sql.Identifier("strangler_movement", kept)
                ),
                [list(tables)],
            )
        # A step that is under way finds its watermark gone, and isn't committed.
        follower.execute(
            """DELETE FROM strangler_movement.watermark
               WHERE NOT EXISTS (SELECT FROM strangler_movement.ordered)"""
        )


def ordered(follower: Connection, *, holding: bool = False) -> Orders:
    """What is ordered; `holding` keeps it so until the transaction ends."""
    if holding:
        follower.execute("LOCK TABLE strangler_movement.ordered IN SHARE MODE")
    found = follower.execute(
        "SELECT capability, owner, tables FROM strangler_movement.ordered ORDER BY capability"
    )
    return {capability: (owner, tuple(tables)) for capability, owner, tables in found}
