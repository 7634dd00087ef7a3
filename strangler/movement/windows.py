"""Windows of the change stream: what one snapshot of the owner sees, and the last applied one didn't.

Transactions commit in another order than they began. A snapshot knows exactly which have, so two of them
enclose a window that loses nothing and holds nothing twice; inside it ids, which are given under a row's
lock, say which change of a row came last. (PgQ works like this. A cursor on `(tx, id)` reorders: A takes its
number, B writes a row and commits, A writes the same row.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from strangler.movement.tables import Column, Connection, Table

GONE = "strangler gone"  # a window's column that says that the row is deleted; a space keeps it from clashing

# In the snapshot of the transaction that asks, but not in {since}. The second half is for the index.
UNSEEN = (
    "NOT pg_visible_in_snapshot(c.tx, {since}::pg_snapshot) "
    "AND c.tx >= pg_snapshot_xmin({since}::pg_snapshot)"
)
LATEST_FIRST = "c.id DESC"


@dataclass(frozen=True)
class Arrival:
    """What a window holds for one table.

    `changes` of its rows; `truncated_at`: the id of the last TRUNCATE, 0 without one; `again`: rows that are
    to be read as the table has them; `reshaped`: rows written before the table got its present shape.
    """

    changes: int
    truncated_at: int
    again: bool
    reshaped: bool


@dataclass(frozen=True)
class Window:
    """Arrivals by table, up to `snapshot`; `changes` counts marks too: 0 means that nothing is new."""

    snapshot: str
    arrivals: Mapping[str, Arrival]
    changes: int


@contextmanager
def snapshot(owner: Connection, tables: list[Table]) -> Iterator[str]:
    """One snapshot of the owner to read chunks and windows in.

    The tables are locked against migrations and TRUNCATE first: neither respects a snapshot.
    """
    with owner.transaction():
        owner.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        names = sql.SQL(", ").join(table.identifier for table in tables)
        owner.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
        (taken,) = owner.execute("SELECT pg_current_snapshot()::text").fetchone() or ("",)
        yield taken


def window(owner: Connection, since: str, upto: str, shapes: Mapping[str, int]) -> Window:
    """What the present snapshot `upto` sees and `since` didn't; `shapes` are those of the tables now."""
    found = owner.execute(
        sql.SQL(
            """SELECT c.table_name, c.shape, count(*) FILTER (WHERE c.operation <> 'M'),
                      coalesce(max(c.id) FILTER (WHERE c.operation = 'T'), 0),
                      bool_or(c.operation = 'R'), count(*)
               FROM strangler_capture.change AS c WHERE {} GROUP BY 1, 2"""
        ).format(_unseen(since))
    ).fetchall()
    arrivals: dict[str, Arrival] = {}
    for name, shape, changes, truncated_at, again, _ in found:
        if name in shapes and changes:
            other = arrivals.get(name, Arrival(0, 0, False, False))
            arrivals[name] = Arrival(
                other.changes + changes,
                max(other.truncated_at, truncated_at),
                other.again or again,
                other.reshaped or shape not in (None, shapes[name]),
            )
    return Window(upto, arrivals, sum(row[-1] for row in found))


def rows(
    table: Table, type_: sql.Composable, since: str, arrival: Arrival, upto: list[str] | None
) -> sql.Composed:
    """A query for the window's last word on every row that changed: GONE, and the stored columns.

    `type_` is the table's qualified name. Rows with keys above `upto` are left out: a copy will read them.
    """
    keys = _fields("c", table.key)
    bound: sql.Composable = sql.SQL("true")
    if upto is not None:
        values = (
            sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(column.type))
            for value, column in zip(upto, table.key, strict=True)
        )
        bound = sql.SQL("ROW({}) <= ROW({})").format(keys, sql.SQL(", ").join(values))
    latest = sql.SQL(
        """WITH change AS MATERIALIZED (
               SELECT c.id, c.tx, c.operation, c.content::{type} AS content FROM strangler_capture.change AS c
               WHERE c.table_name = {name} AND c.content IS NOT NULL AND c.id > {after} AND {unseen}
           ), latest AS (
               SELECT DISTINCT ON ({keys}) c.operation, c.content FROM change AS c
               WHERE {bound} ORDER BY {keys}, {latest_first}
           ) """
    ).format(
        type=type_,
        name=sql.Literal(table.name),
        after=sql.Literal(arrival.truncated_at),
        unseen=_unseen(since),
        keys=keys,
        bound=bound,
        latest_first=sql.SQL(LATEST_FIRST),
    )
    if not arrival.again:
        return latest + sql.SQL("SELECT l.operation = 'D', {} FROM latest AS l").format(
            _fields("l", table.stored)
        )
    there = sql.Identifier("t", table.key[0].name)
    columns = sql.SQL(", ").join(
        sql.SQL("CASE WHEN l.operation = 'R' AND {there} IS NOT NULL THEN {now} ELSE {then} END").format(
            there=there, now=sql.Identifier("t", column.name), then=_fields("l", (column,))
        )
        for column in table.stored
    )
    return latest + sql.SQL(
        """SELECT CASE WHEN l.operation = 'R' THEN {there} IS NULL ELSE l.operation = 'D' END, {columns}
           FROM latest AS l LEFT JOIN {table} AS t ON l.operation = 'R' AND ({key}) = ({keys})"""
    ).format(
        there=there,
        columns=columns,
        table=table.identifier,
        key=table.key_of("t"),
        keys=_fields("l", table.key),
    )


@dataclass(frozen=True)
class Lag:
    """Changes that the owner has committed and the follower hasn't applied, and the age of the first one.

    `seconds` count from when the change was written: a long transaction counts as lag once it commits.
    """

    rows: int
    seconds: float


def lag(owner: Connection, since: str) -> Lag:
    """How far `since`, a watermark, lies behind the owner's present."""
    found = owner.execute(
        sql.SQL(
            """SELECT count(*),
                      coalesce(extract(epoch FROM clock_timestamp() - min(c.captured_at)), 0)::float8
               FROM strangler_capture.change AS c WHERE c.operation <> 'M' AND {}"""
        ).format(_unseen(since))
    ).fetchone()
    return Lag(*(found or (0, 0.0)))


def _unseen(since: str) -> sql.Composed:
    return sql.SQL(UNSEEN).format(since=sql.Literal(since))


def _fields(alias: str, columns: tuple[Column, ...]) -> sql.Composed:
    """Fields of the composite `content` of `alias`."""
    return sql.SQL(", ").join(
        sql.SQL("({}).{}").format(sql.Identifier(alias, "content"), sql.Identifier(column.name))
        for column in columns
    )
