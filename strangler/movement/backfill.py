"""Rows of tables that move, from the owner's database to the follower's: what a stream begins with.

A table that is empty at the follower is *filled*: chunks in the order of the primary key, each by COPY
straight into the table, in one transaction with the row that remembers the last key. Killed anywhere, the
next run goes on after that key. A table that holds rows already is *levelled*: the owner sends a hash per
key, rows that it lacks or that differ are deleted, what is missing is copied, all in one transaction, so that
the follower's readers never meet a gap. `follow` puts the pieces together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from psycopg import sql

from strangler.movement import foreign_keys
from strangler.movement.errors import CopyRefused
from strangler.movement.tables import Connection, Table

CHUNK_ROWS = 50_000  # streamed, never held; smaller chunks cost more commits, larger ones more to do again
BLOCK_BYTES = 1 << 16  # psycopg hands out rows one by one; sending them so would cost as much as reading
LOCK = 0x5742_4B46  # advisory, in the follower's database: one follower at a time
SCHEMA_LOCK = LOCK + 1
LOCK_WITHIN = 5.0  # seconds; the session of a killed one may take a moment to go away


@dataclass(frozen=True)
class Progress:
    """Where a copy stands: rows of `table` that are at the follower, of `total` at the owner."""

    table: str
    rows: int
    total: int


Tell = Callable[[Progress], None]


class Copy:
    """The pieces of a copy, over both connections."""

    def __init__(self, owner: Connection, follower: Connection, tell: Tell, chunk_rows: int) -> None:
        self.owner, self.follower, self.tell, self.chunk_rows = owner, follower, tell, chunk_rows

    # ── an empty table ───────────────────────────────────────────────────────────────────────────

    def begin(self, table: Table, resumed: bool) -> tuple[list[str] | None, int]:
        """The key to go on after and the rows that are there; a fresh start forgets what was remembered."""
        if resumed:
            found = self.follower.execute(
                "SELECT after_key, rows FROM strangler_movement.backfill_progress WHERE table_name = %s",
                [table.name],
            ).fetchone()
            assert found is not None  # it was begun under the lock that is held
            return found[0], found[1]
        self.follower.execute(
            """INSERT INTO strangler_movement.backfill_progress (table_name, shape) VALUES (%s, %s)
               ON CONFLICT (table_name) DO UPDATE SET shape = excluded.shape, after_key = NULL, rows = 0,
                   started_at = now(), moved_at = now(), finished_at = NULL""",
            [table.name, table.fingerprint],
        )
        return None, 0

    def boundary(self, table: Table, after: list[str] | None) -> list[str] | None:
        """The last key of the chunk that follows `after`; None where nothing follows."""
        select = sql.SQL("SELECT {} FROM {} AS t WHERE {} ").format(
            table.key_of("t", "::text"), table.identifier, range_of(table, after, None)
        )
        whole = select + sql.SQL("ORDER BY {} OFFSET %s LIMIT 1").format(table.key_of("t"))
        if found := self.owner.execute(whole, [*(after or []), self.chunk_rows - 1]).fetchone():
            return list(found)
        rest = select + sql.SQL("ORDER BY {} LIMIT 1").format(table.key_of("t", " DESC"))
        found = self.owner.execute(rest, after or []).fetchone()
        return list(found) if found else None

    def chunk(self, table: Table, after: list[str] | None, upto: list[str]) -> int:
        """Stream one chunk; the number of rows."""
        rows = sql.SQL("SELECT {} FROM {} AS t WHERE {} ORDER BY {}").format(
            table.column_list, table.identifier, range_of(table, after, upto), table.key_of("t")
        )
        return self.stream(rows, [*(after or []), *upto], table.identifier, table.column_list)

    def remember(self, table: Table, key: list[str], rows: int) -> None:
        self.follower.execute(
            "UPDATE strangler_movement.backfill_progress SET after_key = %s, rows = %s, moved_at = now() "
            "WHERE table_name = %s",
            [key, rows, table.name],
        )

    # ── a table that holds rows ──────────────────────────────────────────────────────────────────

    def level(self, table: Table) -> int:
        """Bring a table that holds rows to equality, in one transaction; the rows deleted and written.

        Differing rows are deleted before any is written, so that unique values can swap between rows.
        """
        total = self.count(self.owner, table)
        self.tell(Progress(table.name, 0, total))
        same_key = sql.SQL("({}) = ({})").format(table.key_of("s"), table.key_of("t"))
        with self.follower.transaction():
            self._receive_hashes(table)
            deleted = self.follower.execute(
                sql.SQL("DELETE FROM {} AS t WHERE NOT EXISTS (SELECT FROM owner_row AS s WHERE {})").format(
                    table.identifier, same_key
                )
            ).rowcount
            deleted += self.follower.execute(
                sql.SQL("DELETE FROM {} AS t USING owner_row AS s WHERE {} AND s.owner_hash <> {}").format(
                    table.identifier, same_key, table.row_hash
                )
            ).rowcount
            written = self._copy_missing(table, same_key, total)
            self.follower.execute(
                """INSERT INTO strangler_movement.backfill_progress (table_name, shape, rows)
                   VALUES (%s, %s, %s) ON CONFLICT (table_name) DO UPDATE
                   SET shape = excluded.shape, rows = excluded.rows, after_key = NULL, moved_at = now()""",
                [table.name, table.fingerprint, total],
            )
        self.tell(Progress(table.name, total, total))
        return deleted + written

    def _receive_hashes(self, table: Table) -> None:
        """A temporary table `owner_row` with every key of the owner and the hash of its row."""
        key = table.key_list
        self.follower.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE owner_row ON COMMIT DROP AS "
                "SELECT {key}, 0::bigint AS owner_hash FROM {t} WITH NO DATA"
            ).format(key=key, t=table.identifier)
        )
        self.stream(
            sql.SQL("SELECT {}, {} FROM {} AS t").format(key, table.row_hash, table.identifier),
            [],
            sql.Identifier("pg_temp", "owner_row"),
            sql.SQL("{}, owner_hash").format(key),
        )
        self.follower.execute("ANALYZE owner_row")

    def _copy_missing(self, table: Table, same_key: sql.Composed, total: int) -> int:
        """Copy the owner's rows whose keys the follower hasn't, a chunk of keys at a time; their number."""
        missing = sql.SQL(
            "SELECT {} FROM owner_row AS s WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})"
        ).format(table.key_of("s", "::text"), table.identifier, same_key)
        arrays = sql.SQL(", ").join(sql.SQL("%s::text[]") for _ in table.key)
        casts = sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Identifier(f"k{n}"), sql.SQL(column.type))
            for n, column in enumerate(table.key)
        )
        aliases = sql.SQL(", ").join(sql.Identifier(f"k{n}") for n in range(len(table.key)))
        rows = sql.SQL("SELECT {} FROM {} WHERE ({}) IN (SELECT {} FROM unnest({}) AS k({}))").format(
            table.column_list, table.identifier, table.key_list, casts, arrays, aliases
        )
        written = 0
        with self.follower.cursor(name="missing") as cursor:
            cursor.execute(missing)
            while keys := cursor.fetchmany(self.chunk_rows):
                columns = [list(values) for values in zip(*keys, strict=True)]
                written += self.stream(rows, columns, table.identifier, table.column_list)
                self.tell(Progress(table.name, written, total))
        return written

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def finish(self, tables: list[Table]) -> None:
        """Put the foreign keys back, move the sequences past what was copied, mark all of it as finished."""
        with self.follower.transaction():
            for table in tables:
                self.follower.execute(
                    """INSERT INTO strangler_movement.backfill_progress (table_name, shape, finished_at)
                       VALUES (%s, %s, now()) ON CONFLICT (table_name)
                       DO UPDATE SET shape = excluded.shape, finished_at = now()""",
                    [table.name, table.fingerprint],
                )
            foreign_keys.put_back(self.follower)
            for table in tables:
                self._move_sequences(table)

    def _move_sequences(self, table: Table) -> None:
        """Set the sequences that feed the table's columns past the largest value there; never backwards."""
        name = table.identifier.as_string(self.follower)
        for column in table.stored:
            found = self.follower.execute(
                "SELECT pg_get_serial_sequence(%s, %s)", [name, column.name]
            ).fetchone()
            if not found or found[0] is None:
                continue
            self.follower.execute(
                sql.SQL(
                    "SELECT setval(%s::regclass, greatest(m.top, s.last_value)) "
                    "FROM (SELECT max({column}) AS top FROM {table}) AS m, {sequence} AS s "
                    "WHERE m.top IS NOT NULL"
                ).format(
                    column=sql.Identifier(column.name),
                    table=table.identifier,
                    sequence=sql.SQL(found[0]),
                ),
                [found[0]],
            )

    # ── both sides ───────────────────────────────────────────────────────────────────────────────

    def stream(
        self, rows: sql.Composed, parameters: list[Any], into: sql.Identifier, columns: sql.Composed
    ) -> int:
        """COPY a query of the owner into a table of the follower, in blocks; the number of rows."""
        out = sql.SQL("COPY ({}) TO STDOUT").format(rows)
        in_ = sql.SQL("COPY {} ({}) FROM STDIN").format(into, columns)
        with self.follower.cursor() as target, self.owner.cursor() as source:
            with target.copy(in_) as writing, source.copy(out, parameters or None) as reading:
                block = bytearray()
                for row in reading:
                    block += row
                    if len(block) >= BLOCK_BYTES:
                        writing.write(bytes(block))
                        block.clear()
                writing.write(bytes(block))
            return target.rowcount

    def count(self, side: Connection, table: Table) -> int:
        found = side.execute(sql.SQL("SELECT count(*) FROM {}").format(table.identifier)).fetchone()
        return found[0] if found else 0

    @contextmanager
    def settings(self, **settings: str) -> Iterator[None]:
        """Settings of the owner's connection, until the end of the block."""
        for name, value in settings.items():
            self.owner.execute("SELECT set_config(%s, %s, false)", [name, value])
        yield
        for name in settings:
            self.owner.execute(sql.SQL("RESET {}").format(sql.Identifier(name)))


def range_of(table: Table, after: list[str] | None, upto: list[str] | None) -> sql.Composed:
    """A condition: rows after one key and up to another, both lists of texts that the caller passes."""
    bounds = [
        sql.SQL("ROW({}) {} ROW({})").format(table.key_of("t"), sql.SQL(operator), table.key_parameters)
        for operator, key in ((">", after), ("<=", upto))
        if key is not None
    ]
    return sql.SQL(" AND ").join(bounds) if bounds else sql.Composed([sql.SQL("true")])


def lay_schema(follower: Connection) -> None:
    """Make the tables in which movement remembers, where they aren't there yet."""
    with follower.transaction():
        follower.execute("SET LOCAL client_min_messages = warning")
        # Two that come at once would both find them missing.
        follower.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        follower.execute((files("strangler.movement") / "schema.sql").read_text())


def refuse_one_database(owner: Connection, follower: Connection) -> None:
    who = "SELECT current_database(), pg_postmaster_start_time(), inet_server_port()"
    if owner.execute(who).fetchone() == follower.execute(who).fetchone():
        raise CopyRefused("The owner and the follower are one and the same database. Nothing was copied.")


@contextmanager
def alone(follower: Connection) -> Iterator[None]:
    """Be the only one who writes followed rows, for the block."""
    deadline = time.monotonic() + LOCK_WITHIN
    while not (follower.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() or (False,))[0]:
        if time.monotonic() > deadline:
            raise CopyRefused(
                "Another follower of this database is running. Nothing was changed; wait for its end."
            )
        time.sleep(0.1)
    yield
    follower.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
