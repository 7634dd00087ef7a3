"""The fence: triggers that refuse every write of a home's tables while they move, and after they have.

It stands in the database, so that admin, cron command and raw SQL meet it too. It is installed lowered and
raised by `ENABLE ALWAYS TRIGGER`, whose lock waits for every writer in flight: when it is up on all tables,
all that was accepted is committed. A trigger that reads a flag would be no barrier (a transaction that wrote
before the flag commits after the end was read). Only the applier passes, told by who has logged in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from strangler.movement.errors import SwitchHeld, SwitchRefused
from strangler.movement.tables import Connection

SQLSTATES = ("STR01", "STR02")  # the rows are moving; they have moved
LOCK_MILLISECONDS = 200  # writers queue behind a lock that waits: it gives up early, and comes again
ATTEMPTS, PAUSE_SECONDS = 15, 0.05
READERS = ("AccessShareLock", "RowShareLock")
OLD_SECONDS = 5.0  # a transaction that has written and is older than this isn't waited for

TRIGGERS = {
    "00_strangler_fence": "BEFORE INSERT OR UPDATE OR DELETE",
    "00_strangler_fence_truncate": "BEFORE TRUNCATE",
}


@dataclass(frozen=True)
class Holder:
    """A transaction that a fence would wait for: which one, on what, and for how many seconds already."""

    who: str
    table: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.who} has held {self.table} for {self.seconds:.0f} s"


def install(owner: Connection, name: str, table: str, applier: str) -> None:
    """Put the fence of capability `name` on a table, lowered; one that stands there stays as it is.

    `applier` is the role that passes. Belongs in a transaction. Raises SwitchRefused where a trigger has one
    of the names and isn't ours.
    """
    there = _found(owner, table)
    for trigger, events in TRIGGERS.items():
        wanted = f"{events} for {name}, but for {applier}"
        _, stands = there.get(trigger, ("", wanted + " is missing"))
        if stands == wanted:
            continue
        if not stands:
            raise SwitchRefused(
                f"{table} has a trigger {trigger} that isn't ours. It stayed as it was; rename it."
            )
        names = {"trigger": sql.Identifier(trigger), "table": _table(table), "name": sql.Literal(name)}
        owner.execute(sql.SQL("DROP TRIGGER IF EXISTS {trigger} ON {table}").format(**names))
        owner.execute(
            sql.SQL(
                f"CREATE TRIGGER {{trigger}} {events} ON {{table}} FOR EACH STATEMENT "
                "WHEN (session_user <> {applier}) EXECUTE FUNCTION strangler_ownership.refuse({name})"
            ).format(applier=sql.Literal(applier), **names)
        )
        owner.execute(sql.SQL("ALTER TABLE {table} DISABLE TRIGGER {trigger}").format(**names))
        owner.execute(
            sql.SQL("COMMENT ON TRIGGER {trigger} ON {table} IS {wanted}").format(
                wanted=sql.Literal(wanted), **names
            )
        )


def remove(owner: Connection, table: str) -> None:
    """Take our fence off a table; belongs in a transaction."""
    for trigger, (_, ours) in _found(owner, table).items():
        if ours:
            owner.execute(sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), _table(table)))


def enable(owner: Connection, table: str) -> None:
    """Raise the fence of a table; its lock waits for every writer in flight. Belongs in a transaction."""
    _alter(owner, table, "ENABLE ALWAYS")


def disable(owner: Connection, table: str) -> None:
    """Lower the fence of a table; belongs in a transaction."""
    _alter(owner, table, "DISABLE")


def is_up(owner: Connection, tables: Sequence[str]) -> bool | None:
    """Whether the fence is up on all of `tables`, down on all (False), or neither: broken (None)."""
    states = {
        _found(owner, table).get(trigger, ("missing", ""))[0] for table in tables for trigger in TRIGGERS
    }
    return {frozenset("A"): True, frozenset("D"): False}.get(frozenset(states))


def holders(
    owner: Connection,
    tables: Sequence[str],
    older_than: float = OLD_SECONDS,
    harmless: Sequence[str] = READERS,
) -> tuple[Holder, ...]:
    """Transactions that hold `tables` and have been open for long, and prepared ones.

    `harmless` are the modes of lock that are no hold: those of whoever only reads.
    """
    found = owner.execute(
        """SELECT format('process %%s (%%s %%s)', a.pid, a.usename, a.application_name),
                  l.relation::regclass::text, extract(epoch FROM clock_timestamp() - a.xact_start)::float8
           FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
           WHERE l.relation = ANY(%(tables)s::regclass[]) AND l.granted AND a.pid <> pg_backend_pid()
             AND NOT l.mode = ANY(%(harmless)s)
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND clock_timestamp() - a.xact_start > %(age)s * interval '1 second'
           UNION
           SELECT format('the prepared transaction %%s', p.gid), l.relation::regclass::text,
                  extract(epoch FROM clock_timestamp() - p.prepared)::float8
           FROM pg_prepared_xacts AS p JOIN pg_locks AS l ON l.pid IS NULL
             AND l.virtualtransaction = format('-1/%%s', p.transaction)
           WHERE l.relation = ANY(%(tables)s::regclass[])
             AND NOT l.mode = ANY(%(harmless)s)
           ORDER BY 3 DESC""",
        {
            "tables": [_table(table).as_string(owner) for table in tables],
            "age": older_than,
            "harmless": list(harmless),
        },
    )
    return tuple(Holder(*row) for row in found)


def in_turn(owner: Connection, tables: Sequence[str], act: Callable[[str], None]) -> None:
    """Do `act` for one table after the other, each in a transaction of its own.

    One at a time: a writer that holds one table and waits for the next would never get it from us, nor we the
    one that it holds. Raises SwitchHeld as `at_once` does.
    """
    for table in tables:
        at_once(owner, [table], partial(act, table))


def at_once(owner: Connection, tables: Sequence[str], act: Callable[[], None]) -> None:
    """Do `act` in one transaction whose waits for locks are short, and again while somebody holds a table.

    Raises SwitchHeld with who holds it when the attempts are used up; nothing was changed then.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with owner.transaction():
                owner.execute(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
                return act()
        except psycopg.errors.LockNotAvailable:
            if attempt < ATTEMPTS:
                time.sleep(PAUSE_SECONDS)
    held = holders(owner, tables, 0) or holders(owner, tables, 0, harmless=())  # readers hold a DROP, too
    who = "; ".join(map(str, held)) or "somebody who has ended by now"
    raise SwitchHeld(
        f"A lock on {', '.join(tables)} isn't granted: {who}. It stayed as it was; try again when that has "
        "ended."
    )


def _alter(owner: Connection, table: str, how: str) -> None:
    for trigger in TRIGGERS:
        owner.execute(
            sql.SQL(f"ALTER TABLE {{}} {how} TRIGGER {{}}").format(_table(table), sql.Identifier(trigger))
        )


def _found(owner: Connection, table: str) -> dict[str, tuple[str, str]]:
    """Triggers of the fence's names: how each is enabled, and what it was put for ("" if it isn't ours)."""
    found = owner.execute(
        """SELECT tgname, tgenabled::text,
                  CASE WHEN tgfoid = to_regproc('strangler_ownership.refuse')
                       THEN coalesce(obj_description(oid, 'pg_trigger'), 'of an unknown fence') ELSE '' END
           FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = ANY(%s)""",
        [_table(table).as_string(owner), list(TRIGGERS)],
    )
    return {name: (enabled, wanted) for name, enabled, wanted in found}


def _table(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split("."))
