"""Who else writes, locks or cascades into rows that are to move, found out where nobody can get round it.

Triggers note every statement on the tables whose comment names another context than their owner's, and every
one that names none. Only the owner's own statements go unnoted. Each of the others becomes a remote call, a
saga step or an event before ownership may move: after the switch it would be refused.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from psycopg import sql

from strangler.movement import fence
from strangler.movement.errors import SwitchRefused
from strangler.movement.tables import Connection

TRIGGERS = {
    "01_strangler_recorder": "AFTER INSERT OR UPDATE OR DELETE",
    "01_strangler_recorder_truncate": "AFTER TRUNCATE",
}


@dataclass(frozen=True)
class Crossing:
    """Statements of another context on rows that are to move; `context` is "" where nobody said whose."""

    table: str
    operation: str
    context: str
    site: str
    count: int
    last: datetime.datetime

    def __str__(self) -> str:
        who = f"{self.context} ({self.site})" if self.context else f"unknown code ({self.site})"
        last = f"{self.last:%Y-%m-%d %H:%M:%S}"
        return f"{self.operation} {self.table} by {who}, {self.count:,} times, last at {last}"


@dataclass(frozen=True)
class Recording:
    """What was noted: `since` is when the last of the tables began to be recorded, None where one isn't."""

    since: datetime.datetime | None
    crossings: tuple[Crossing, ...]


def install(owner: Connection, context: str, tables: Sequence[str], applier: str) -> None:
    """Record statements on `tables`, which belong to `context`; what the applier writes isn't noted.

    Done again it changes nothing. Raises SwitchRefused where a trigger has our name, SwitchHeld where a lock
    isn't granted; tables before that one are recorded by then.
    """
    with owner.transaction():
        owner.execute("SET LOCAL client_min_messages = warning")
        owner.execute((files("strangler.movement") / "recorder.sql").read_text())
    known: dict[str, str] = dict(
        owner.execute("SELECT table_name, context FROM strangler_recorder.recorded").fetchall()
    )
    wanted = [table for table in tables if known.get(table) != context]
    fence.in_turn(owner, wanted, lambda table: _record(owner, context, table, applier))


def remove(owner: Connection, tables: Sequence[str]) -> None:
    """Record `tables` no more, and forget what was noted of them; nothing to do is no error."""
    if owner.execute("SELECT to_regclass('strangler_recorder.recorded') IS NULL").fetchone() == (True,):
        return

    def act(table: str) -> None:
        _drop(owner, table)
        owner.execute("DELETE FROM strangler_recorder.recorded WHERE table_name = %s", [table])
        owner.execute("DELETE FROM strangler_recorder.statement WHERE table_name = %s", [table])

    fence.in_turn(owner, tables, act)


def crossings(owner: Connection, tables: Sequence[str], within: datetime.timedelta) -> Recording:
    """What was noted of `tables` in the last time `within`, the most frequent first."""
    if owner.execute("SELECT to_regclass('strangler_recorder.recorded') IS NULL").fetchone() == (True,):
        return Recording(None, ())
    recorded = owner.execute(
        "SELECT max(since), count(*) FROM strangler_recorder.recorded WHERE table_name = ANY(%s)",
        [list(tables)],
    ).fetchone()
    found = owner.execute(
        """SELECT table_name, operation, context, site, count(*), max(at) FROM strangler_recorder.statement
           WHERE table_name = ANY(%s) AND at > clock_timestamp() - %s
           GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4""",
        [list(tables), within],
    )
    since, count = recorded or (None, 0)
    return Recording(since if count == len(set(tables)) else None, tuple(Crossing(*row) for row in found))


def _record(owner: Connection, context: str, table: str, applier: str) -> None:
    _drop(owner, table)
    for trigger, events in TRIGGERS.items():
        names = {"trigger": sql.Identifier(trigger), "table": sql.Identifier(*table.split("."))}
        owner.execute(
            sql.SQL(
                f"CREATE TRIGGER {{trigger}} {events} ON {{table}} FOR EACH STATEMENT "
                "WHEN (session_user <> {applier}) EXECUTE FUNCTION strangler_recorder.note({name}, {context})"
            ).format(
                applier=sql.Literal(applier), name=sql.Literal(table), context=sql.Literal(context), **names
            )
        )
        owner.execute(sql.SQL("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}").format(**names))
    owner.execute(
        """INSERT INTO strangler_recorder.recorded (table_name, context) VALUES (%s, %s)
           ON CONFLICT (table_name) DO UPDATE SET context = excluded.context, since = clock_timestamp()""",
        [table, context],
    )


def _drop(owner: Connection, table: str) -> None:
    name = sql.Identifier(*table.split("."))
    found = owner.execute(
        """SELECT tgname, tgfoid = to_regproc('strangler_recorder.note') FROM pg_trigger
           WHERE tgrelid = %s::regclass AND tgname = ANY(%s)""",
        [name.as_string(owner), list(TRIGGERS)],
    ).fetchall()
    for trigger, ours in found:
        if not ours:
            raise SwitchRefused(
                f"{table} has a trigger {trigger} that isn't ours. It stayed as it was; rename it."
            )
        owner.execute(sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), name))
