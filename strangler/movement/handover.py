"""What goes on across homes besides the rows: ids, the counters of announced events, and the inbox.

Everything here may be done again, and nothing ever goes backwards: an id or a sequence number that was given
out once is never given out by the other home.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from strangler.movement.tables import Connection

MARGIN = 1000  # ids left out: more than one home can have taken from a sequence without using them yet

# Sequences that a table's columns take their values from: identity, serial, or a default that names one.
SEQUENCES = """
SELECT a.attname, d.objid::regclass::text FROM pg_depend AS d
JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.deptype IN ('a', 'i') AND d.refobjid = %(table)s::regclass
UNION
SELECT a.attname, d.refobjid::regclass::text FROM pg_attrdef AS f
JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
JOIN pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S'
JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
WHERE f.adrelid = %(table)s::regclass
"""


def sequences(origin: Connection, target: Connection, tables: Sequence[str]) -> int:
    """Set the target's sequences past everything that either home has given out; how many there are."""
    count = 0
    for name in tables:
        table = sql.Identifier(*name.split("."))
        for column, sequence in _sequences(target, table):
            tops = [_given_out(target, table, column, sequence)]
            tops += [
                _given_out(origin, table, column, one)
                for at, one in _sequences(origin, table)
                if at == column
            ]
            target.execute("SELECT setval(%s::regclass, %s)", [sequence, max(tops) + MARGIN])
            count += 1
    return count


def outbox_counters(origin: Connection, target: Connection) -> int:
    """Let the target count each key's events on from where the origin's outbox is; how many keys there are.

    Without it the first event of the new owner would have a number that its key has had already.
    """
    there = "SELECT to_regclass('strangler_outbox_key') IS NOT NULL"
    if origin.execute(there).fetchone() != (True,) or target.execute(there).fetchone() != (True,):
        return 0
    counted = origin.execute("SELECT key, last FROM strangler_outbox_key").fetchall()
    with target.transaction(), target.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO strangler_outbox_key AS k (key, last) VALUES (%s, %s)
               ON CONFLICT (key) DO UPDATE SET last = greatest(k.last, excluded.last)""",
            counted,
        )
    return len(counted)


# What a context's subscriptions have handled, what is parked, and how far they have read outboxes.
HANDLED = "subscription, event_id, key, type, outcome, note, announced_at, handled_at"
PARKED = "subscription, event_id, key, type, state, reason, attempts, headers, content_type, body, parked_at"
READ = "subscription, publisher, types, low, high, reached"


def inbox(origin: Connection, target: Connection, context: str) -> int:
    """Let the target know what the context's subscriptions have heard; how many handled events it is told.

    Behind the fence nothing is handled any more, so what is here is all. Belongs in a transaction of the
    target that holds the commit back: what is parked there is replaced.
    """
    if not _has_inbox(origin) or not _has_inbox(target):
        return 0
    mine = f"{context}.%"
    leave_inbox(target, context)
    _copy(origin, target, "strangler_inbox_parked", PARKED, "ORDER BY position", mine)
    _copy(origin, target, "strangler_inbox_position", READ, "", mine)
    return _copy(origin, target, "strangler_inbox_received", HANDLED, "", mine)


def leave_inbox(side: Connection, context: str) -> None:
    """Forget what is parked, and how far outboxes are read; what was handled stays known."""
    if _has_inbox(side):
        for table in ("strangler_inbox_parked", "strangler_inbox_position"):
            statement = sql.SQL("DELETE FROM {} WHERE subscription LIKE {}")
            side.execute(statement.format(sql.Identifier(table), sql.Literal(f"{context}.%")))


def _has_inbox(side: Connection) -> bool:
    return side.execute("SELECT to_regclass('strangler_inbox_received') IS NOT NULL").fetchone() == (True,)


def _copy(origin: Connection, target: Connection, table: str, columns: str, order: str, mine: str) -> int:
    """Rows that the target doesn't have yet, in bulk: there may be many."""
    names = [name.strip() for name in columns.split(",")]
    wanted = sql.SQL("SELECT {} FROM {} WHERE subscription LIKE {} {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(table),
        sql.Literal(mine),
        sql.SQL(order),
    )
    into = sql.Identifier(f"handed_over_{table}")
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    with origin.cursor() as reading, target.cursor() as writing:
        writing.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                into, listed, sql.Identifier(table)
            )
        )
        with (
            reading.copy(sql.SQL("COPY ({}) TO STDOUT").format(wanted)) as rows,
            writing.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(into, listed)) as copy,
        ):
            for block in rows:
                copy.write(block)
        # In the order of copying, which a table that was just filled keeps.
        return writing.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING").format(
                sql.Identifier(table), listed, listed, into
            )
        ).rowcount


def _sequences(side: Connection, table: sql.Identifier) -> list[tuple[str, str]]:
    return [(at, name) for at, name in side.execute(SEQUENCES, {"table": table.as_string(side)})]


def _given_out(side: Connection, table: sql.Identifier, column: str, sequence: str) -> int:
    """The largest number that this side has given out or holds."""
    (last,) = side.execute(sql.SQL("SELECT last_value FROM {}").format(sql.SQL(sequence))).fetchone() or (0,)
    (top,) = side.execute(
        sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(sql.Identifier(column), table)
    ).fetchone() or (0,)
    return max(int(last), int(top))
