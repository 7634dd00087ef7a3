"""Whether the follower holds exactly the owner's rows: evidence for a gate, read afresh every time.

One aggregate query a table and side, both sides at the same time: rows counted, and a 64-bit hash of every
row xored together, so that neither order nor physical layout matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from psycopg import sql

from strangler.movement.errors import CopyFailed, MovementError
from strangler.movement.tables import Connection, Table, agreed, connection, sentence


@dataclass(frozen=True)
class Sum:
    """Rows of one table on one side, and the xor of their hashes."""

    rows: int
    checksum: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows, checksum {self.checksum & 0xFFFFFFFFFFFFFFFF:016x}"


@dataclass(frozen=True)
class TableState:
    """Both sides of one table; a side that couldn't be read is None and `problem` says why."""

    name: str
    owner: Sum | None
    follower: Sum | None
    finished: bool
    problem: str | None = None

    @property
    def equal(self) -> bool:
        """Both sides were read and hold the same rows."""
        return self.problem is None and self.owner is not None and self.owner == self.follower


@dataclass(frozen=True)
class CopyState:
    """What is true of a copy now. Unknown, missing or broken is never `equal`."""

    tables: tuple[TableState, ...]
    foreign_keys_owed: int = 0

    @property
    def complete(self) -> bool:
        """A copy ran to its end, for every table, and every foreign key is back."""
        return bool(self.tables) and all(t.finished for t in self.tables) and not self.foreign_keys_owed

    @property
    def equal(self) -> bool:
        return bool(self.tables) and all(table.equal for table in self.tables)

    @property
    def rows(self) -> int:
        """Rows at the follower, over all tables."""
        return sum(table.follower.rows for table in self.tables if table.follower)

    @property
    def reason(self) -> str:
        """One sentence: what holds, or that nothing does."""
        if not self.tables:
            return "No tables are named, so there is nothing that could have been copied."
        for table in self.tables:
            if table.problem:
                return table.problem
        for table in self.tables:
            if not table.finished:
                return f"{table.name} isn't copied to the end; run `strangler copy`."
        if self.foreign_keys_owed:
            return f"{self.foreign_keys_owed} foreign keys are still set aside; run `strangler copy` again."
        for table in self.tables:
            if not table.equal:
                return (
                    f"{table.name} differs: {table.owner} at the owner, {table.follower} at the follower; "
                    "run `strangler copy` again."
                )
        return f"{self.rows:,} rows in {len(self.tables)} tables are equal on both sides."


def summed(side: Connection, table: Table) -> Sum:
    """Count and checksum of one table's rows, in one pass."""
    rows, checksum = side.execute(
        sql.SQL("SELECT count(*), coalesce(bit_xor({}), 0) FROM {} AS t").format(
            table.row_hash, table.identifier
        )
    ).fetchone() or (0, 0)
    return Sum(rows, checksum)


def summed_on_both(owner: Connection, follower: Connection, table: Table) -> tuple[Sum, Sum]:
    """The same on both sides at once."""
    with ThreadPoolExecutor(1) as beside:
        there = beside.submit(summed, follower, table)
        return summed(owner, table), there.result()


def copied(source_url: str, target_url: str, tables: Sequence[str]) -> CopyState:
    """How the follower's tables stand against the owner's, as they are now.

    Reads every row of both sides once. What can't be read is told in the state (`problem`), since a gate
    must be able to print it; nothing is raised but programming errors.
    """
    try:
        with connection(source_url, "owner") as owner, connection(target_url, "follower") as follower:
            finished, owed = _progress(follower)
            states = tuple(_table_state(owner, follower, name, finished) for name in tables)
            return CopyState(states, owed)
    except MovementError as refusal:
        return CopyState(tuple(TableState(name, None, None, False, str(refusal)) for name in tables))


def _table_state(owner: Connection, follower: Connection, name: str, finished: set[str]) -> TableState:
    try:
        table = agreed(owner, follower, name)
        here, there = summed_on_both(owner, follower, table)
    except MovementError as refusal:
        return TableState(name, None, None, False, str(refusal))
    except psycopg.Error as error:
        return TableState(name, None, None, False, f"{name} can't be read on both sides: {sentence(error)}")
    return TableState(name, here, there, name in finished)


def _progress(follower: Connection) -> tuple[set[str], int]:
    """Names of the tables whose copy ended, and the number of foreign keys still set aside."""
    try:
        exists = follower.execute("SELECT to_regclass('strangler_movement.backfill_progress')").fetchone()
        if exists is None or exists[0] is None:
            return set(), 0
        names = follower.execute(
            "SELECT table_name FROM strangler_movement.backfill_progress WHERE finished_at IS NOT NULL"
        )
        owed = follower.execute("SELECT count(*) FROM strangler_movement.foreign_key_set_aside").fetchone()
        return {name for (name,) in names}, owed[0] if owed else 0
    except psycopg.Error as error:
        raise CopyFailed(f"The progress of the copy can't be read: {sentence(error)}") from None
