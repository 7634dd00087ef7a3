"""The shape of a table as both sides must agree on it, and the SQL that reads its rows alike on both.

Columns are taken in the order of their names, never of their creation, and generated ones are never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from strangler.movement import content_types
from strangler.movement.errors import CopyFailed, CopyRefused

Connection = psycopg.Connection[tuple[Any, ...]]

# A value must read as the same text on both servers, whatever their configuration or the role's.
PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "10s",
}


@dataclass(frozen=True)
class Column:
    """A column's name and its type as PostgreSQL spells it, e.g. `numeric(10,2)`."""

    name: str
    type: str
    nullable: bool
    generated: bool

    def __str__(self) -> str:
        null = "" if self.nullable else " not null"
        return f"{self.type}{null}{' generated' if self.generated else ''}"


@dataclass(frozen=True)
class Table:
    """A table with its columns by name, and the names of its primary key's columns in the key's order."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[Column, ...]

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that a copy writes: all but the generated ones."""
        return tuple(column for column in self.columns if not column.generated)

    @property
    def fingerprint(self) -> str:
        """Equal when names, types, nullability and primary key are; foreign keys don't count."""
        text = "\n".join([*(f"{c.name} {c}" for c in self.columns), *(f"key {c.name}" for c in self.key)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name.split("."))

    @property
    def column_list(self) -> sql.Composed:
        return _names(self.stored)

    @property
    def key_list(self) -> sql.Composed:
        return _names(self.key)

    def key_of(self, alias: str, suffix: str = "") -> sql.Composed:
        """The key's columns of `alias`, each followed by `suffix`: a cast, a direction.

        Qualified, since `SELECT id::text ... ORDER BY id` orders by the text: the output column's name wins.
        """
        return sql.SQL(", ").join(sql.Identifier(alias, c.name) + sql.SQL(suffix) for c in self.key)

    @property
    def key_parameters(self) -> sql.Composed:
        """Placeholders for the key's values as texts, cast to the key's types."""
        return sql.SQL(", ").join(sql.SQL("%s::{}").format(sql.SQL(c.type)) for c in self.key)

    @property
    def row_hash(self) -> sql.Composed:
        """64 bits over a whole row of `t` as text: NULL and '' differ there, and so do 1.0 and 1.00."""
        columns = sql.SQL(", ").join(sql.Identifier("t", column.name) for column in self.stored)
        return sql.SQL("hashtextextended(ROW({})::text, 0)").format(columns)


def _names(columns: tuple[Column, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)


# A step that holds locks sends its statements one right after the other. Whoever stops in the middle of one
# (a paused process, a cut network) is ended by the server after this time, and what it held is free again.
HELD_SECONDS = 2


@contextmanager
def connection(url: str, side: str, *, held: float = 0) -> Iterator[Connection]:
    """An autocommitting connection with pinned settings; messages call it `side`: "owner" or "follower".

    `held` is for how many seconds it may do nothing within a transaction before the server ends it; 0: any.
    """
    try:
        opened = psycopg.connect(url, autocommit=True, application_name="strangler movement")
    except psycopg.OperationalError as error:
        raise CopyFailed(
            f"The {side}'s database can't be reached: {sentence(error)} Nothing was written; is it running?"
        ) from None
    with opened:
        opened.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS p(name, value)",
            [list(PINNED), list(PINNED.values())],
        )
        if held:
            opened.execute(f"SET idle_in_transaction_session_timeout = '{held:g}s'")
        yield opened


def sentence(error: psycopg.Error) -> str:
    """What PostgreSQL said, in one line that ends with a full stop."""
    said = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    detail = f" ({error.diag.message_detail.rstrip('.')})" if error.diag.message_detail else ""
    return f"{said.rstrip('.')}{detail}."


def read(connection: Connection, name: str, side: str) -> Table:
    """The table called `table` or `schema.table`; CopyRefused where there is none, or it has no key."""
    found = connection.execute(
        "SELECT to_regclass(%s)::oid, (SELECT relkind FROM pg_class WHERE oid = to_regclass(%s))",
        [sql.Identifier(*name.split(".")).as_string(connection)] * 2,
    ).fetchone()
    oid, kind = found or (None, None)
    if oid is None or kind not in ("r", "p"):
        what = "has no table" if oid is None else "has a view or the like, not a table, called"
        advice = "Has it been migrated?" if oid is None else "Name tables only."
        raise CopyRefused(f"The {side}'s database {what} {name}. {advice} Nothing was copied.")
    columns = {
        column: Column(column, type_, nullable, generated)
        for column, type_, nullable, generated in connection.execute(
            """SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, attgenerated <> ''
               FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped""",
            [oid],
        )
    }
    key = connection.execute(
        """SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, n), pg_attribute a
           WHERE i.indrelid = %s AND i.indisprimary AND k.n <= i.indnkeyatts
             AND a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.n""",
        [oid],
    ).fetchall()
    if not key:
        raise CopyRefused(
            f"The {side}'s table {name} has no primary key, so its rows can't be told apart. "
            "Nothing was copied; give it one, or take it out of the capability's tables."
        )
    return Table(name, tuple(columns[n] for n in sorted(columns)), tuple(columns[n] for (n,) in key))


def agreed(owner: Connection, follower: Connection, name: str) -> Table:
    """The table as both sides have it; CopyRefused names what differs."""
    here, there = read(owner, name, "owner"), read(follower, name, "follower")
    if differences := list(_differences(here, there)):
        raise CopyRefused(
            f"{name} differs between the owner and the follower: {'; '.join(differences)}. "
            "Nothing was copied; migrate one of them until both have the same columns."
        )
    if unlike := content_types.unlike(owner, follower, here):
        raise CopyRefused(
            f"Content types of {name} have other numbers: {'; '.join(unlike)}. Nothing was copied, since "
            "rows travel as they are; give the follower's django_content_type the owner's numbers first."
        )
    return here


def _differences(owner: Table, follower: Table) -> Iterator[str]:
    here, there = ({c.name: c for c in table.columns} for table in (owner, follower))
    for name in sorted(here.keys() | there.keys()):
        if name not in there:
            yield f"the follower lacks {name} ({here[name]})"
        elif name not in here:
            yield f"the owner lacks {name} ({there[name]})"
        elif here[name] != there[name]:
            yield f"{name} is {here[name]} at the owner and {there[name]} at the follower"
    keys = [tuple(column.name for column in table.key) for table in (owner, follower)]
    if keys[0] != keys[1]:
        yield f"the key is ({', '.join(keys[0])}) at the owner and ({', '.join(keys[1])}) at the follower"
