"""Rows of the tables that move, from the owner's database to the follower's: a move of data begins here.

A table that is empty at the follower is *filled*: chunks in the order of the primary key, each by COPY
straight into the table, in one transaction with the row that remembers the last key. Killed anywhere, the
next run goes on after that key. A table that holds rows already is *levelled*: the owner sends a hash per
key, rows that it lacks or that differ are deleted, what is missing is copied, all in one transaction, so that
the follower's readers never meet a gap. Either way the end is equality with one snapshot of the owner, stale
rows gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from strangler.movement import foreign_keys
from strangler.movement.errors import CopyFailed, CopyRefused
from strangler.movement.tables import Connection, Table, agreed, connection, sentence
from strangler.movement.verification import CopyState, copied, summed_on_both

__all__ = ["CopyReport", "CopyState", "Progress", "TableCopied", "backfill", "copied"]

CHUNK_ROWS = 50_000  # streamed, never held; smaller chunks cost more commits, larger ones more to do again
BLOCK_BYTES = (
    1 << 16
)  # psycopg hands out a row at a time; sending them one by one would cost as much as reading
LOCK = 0x5742_4B46  # advisory, in the follower's database: one copy at a time
SCHEMA_LOCK = LOCK + 1
LOCK_WITHIN = 5.0  # seconds; the session of a killed copy may take a moment to go away


@dataclass(frozen=True)
class Progress:
    """Where a copy stands: rows of `table` that are at the follower, of `total` at the owner."""

    table: str
    rows: int
    total: int


@dataclass(frozen=True)
class TableCopied:
    """What happened to one table.

    `way` is "equal" (nothing to do), "filled", "resumed" (a fill that went on) or "levelled"; `written` rows
    were inserted, of which `replaced` stood there with other values; `deleted` rows the owner doesn't have.
    """

    name: str
    way: str
    written: int
    replaced: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class CopyReport:
    """A copy that ran to its end; `seconds` of wall clock."""

    tables: tuple[TableCopied, ...]
    foreign_keys: int
    sequences: int
    seconds: float

    @property
    def written(self) -> int:
        return sum(table.written for table in self.tables)

    @property
    def deleted(self) -> int:
        return sum(table.deleted for table in self.tables)


Tell = Callable[[Progress], None]


def backfill(
    source_url: str,
    target_url: str,
    tables: Sequence[str],
    *,
    progress: Tell | None = None,
    restart: bool = False,
    chunk_rows: int = CHUNK_ROWS,
) -> CopyReport:
    """Make the follower's `tables` equal to the owner's, and its sequences ready to go on after them.

    The owner is read in one snapshot and never written. `restart` forgets where an interrupted copy stood and
    compares every row instead. Raises CopyRefused before anything was written, CopyFailed after that.
    """
    start = time.perf_counter()
    tell = progress or (lambda _: None)
    if not tables:
        raise CopyRefused("No tables are named, so there is nothing to copy. Nothing was changed.")
    with connection(source_url, "owner") as owner, connection(target_url, "follower") as follower:
        try:
            refuse_one_database(owner, follower)
            with alone(follower), _one_snapshot(owner):
                shapes = [agreed(owner, follower, name) for name in dict.fromkeys(tables)]
                lay_schema(follower)
                copy = Copy(owner, follower, tell, chunk_rows)
                done, keys, sequences = copy.run(shapes, restart)
        except psycopg.Error as error:
            raise CopyFailed(
                f"The copy stopped: {sentence(error)} Chunks that were committed stay at the follower; "
                "run the copy again to go on."
            ) from error
    return CopyReport(tuple(done), keys, sequences, time.perf_counter() - start)


class Copy:
    """The pieces of a copy over both connections; following puts them together in its own way."""

    def __init__(self, owner: Connection, follower: Connection, tell: Tell, chunk_rows: int) -> None:
        self.owner, self.follower, self.tell, self.chunk_rows = owner, follower, tell, chunk_rows

    def run(self, tables: list[Table], restart: bool) -> tuple[list[TableCopied], int, int]:
        """Copy what isn't equal yet; the tables' outcomes, foreign keys put back, sequences set."""
        ways = {table: self._way(table, restart) for table in tables}
        if any(way != "equal" for way in ways.values()):
            foreign_keys.set_aside(self.follower, tables)
        done = []
        for table, way in ways.items():
            match way:
                case "equal":
                    rows = self.count(self.owner, table)
                    done.append(TableCopied(table.name, way, 0))
                    self.tell(Progress(table.name, rows, rows))
                case "levelled":
                    done.append(self.level(table))
                case _:
                    done.append(self._fill(table, resumed=way == "resumed"))
        keys, sequences = self.finish(tables)
        for table in (table for table, way in ways.items() if way != "equal"):
            self.follower.execute(sql.SQL("ANALYZE {}").format(table.identifier))
        return done, keys, sequences

    def _way(self, table: Table, restart: bool) -> str:
        """How this table gets there, from what the follower holds now."""
        there = self.count(self.follower, table)
        kept = self.follower.execute(
            "SELECT rows FROM strangler_movement.backfill_progress "
            "WHERE table_name = %s AND shape = %s AND finished_at IS NULL AND after_key IS NOT NULL",
            [table.name, table.fingerprint],
        ).fetchone()
        if kept and not restart and kept[0] == there:
            return "resumed"
        if there == 0:
            return "filled"
        here, there_sum = summed_on_both(self.owner, self.follower, table)
        return "equal" if here == there_sum else "levelled"

    # ── an empty table ───────────────────────────────────────────────────────────────────────────

    def _fill(self, table: Table, resumed: bool) -> TableCopied:
        after, rows = self.begin(table, resumed)
        total, before = self.count(self.owner, table), rows
        self.tell(Progress(table.name, rows, total))
        # Without statistics the planner may sort the whole table for every chunk; the key's index never does.
        with self.settings(enable_seqscan="off", enable_bitmapscan="off"):
            while upto := self.boundary(table, after):
                with self.follower.transaction():
                    rows += self.chunk(table, after, upto)
                    self.remember(table, upto, rows)
                self.tell(Progress(table.name, rows, total))
                after = upto
        if not resumed:
            return TableCopied(table.name, "filled", rows)
        # The chunks of the run before came from another snapshot: the owner may have written since.
        here, there = summed_on_both(self.owner, self.follower, table)
        if here == there:
            return TableCopied(table.name, "resumed", rows - before)
        level = self.level(table)
        return TableCopied(
            table.name, "resumed", rows - before + level.written, level.replaced, level.deleted
        )

    def begin(self, table: Table, resumed: bool) -> tuple[list[str] | None, int]:
        """The key to go on after and the rows that are there; a fresh start forgets what was remembered."""
        if resumed:
            found = self.follower.execute(
                "SELECT after_key, rows FROM strangler_movement.backfill_progress WHERE table_name = %s",
                [table.name],
            ).fetchone()
            assert found is not None  # _way has just read it, under the lock
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

    def level(self, table: Table) -> TableCopied:
        """Bring a table that holds rows to equality, in one transaction.

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
            replaced = self.follower.execute(
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
        return TableCopied(table.name, "levelled", written, replaced, deleted)

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

    def finish(self, tables: list[Table]) -> tuple[int, int]:
        """Put the foreign keys back, move the sequences past what was copied, mark all of it as finished."""
        with self.follower.transaction():
            for table in tables:
                self.follower.execute(
                    """INSERT INTO strangler_movement.backfill_progress (table_name, shape, finished_at)
                       VALUES (%s, %s, now()) ON CONFLICT (table_name)
                       DO UPDATE SET shape = excluded.shape, finished_at = now()""",
                    [table.name, table.fingerprint],
                )
            keys = foreign_keys.put_back(self.follower)
            sequences = sum(self._move_sequences(table) for table in tables)
        return keys, sequences

    def _move_sequences(self, table: Table) -> int:
        """Set the sequences that feed the table's columns past the largest value there; never backwards."""
        moved = 0
        name = table.identifier.as_string(self.follower)
        for column in table.stored:
            found = self.follower.execute(
                "SELECT pg_get_serial_sequence(%s, %s)", [name, column.name]
            ).fetchone()
            if not found or found[0] is None:
                continue
            moved += self.follower.execute(
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
            ).rowcount
        return moved

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
    """Hold the copy's lock for the block."""
    deadline = time.monotonic() + LOCK_WITHIN
    while not (follower.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() or (False,))[0]:
        if time.monotonic() > deadline:
            raise CopyRefused(
                "Another copy into this database is running. Nothing was changed; wait for its end."
            )
        time.sleep(0.1)
    yield
    follower.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


@contextmanager
def _one_snapshot(owner: Connection) -> Iterator[None]:
    """Read the owner as it is at this moment, to the end: rows that refer to each other fit together."""
    owner.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    yield
    owner.execute("COMMIT")
