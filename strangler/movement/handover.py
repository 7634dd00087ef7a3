"""What goes on across homes besides the rows: ids, and the counters of announced events.

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


def _sequences(side: Connection, table: sql.Identifier) -> list[tuple[str, str]]:
    return [(at, name) for at, name in side.execute(SEQUENCES, {"table": table.as_string(side)})]


def _given_out(side: Connection, table: sql.Identifier, column: str, sequence: str) -> int:
    """The largest number that this side has given out or holds."""
    (last,) = side.execute(sql.SQL("SELECT last_value FROM {}").format(sql.SQL(sequence))).fetchone() or (0,)
    (top,) = side.execute(
        sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(sql.Identifier(column), table)
    ).fetchone() or (0,)
    return max(int(last), int(top))
