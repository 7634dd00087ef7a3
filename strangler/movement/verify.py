"""Whether every row at the follower is the owner's, found out while both are written; and rows sent again.

First a checksum per bucket of keys, both sides at once; then the rows of the buckets that differ; then each
row that differs is looked at again behind a mark in the change stream. Only a row that the owner didn't touch
meanwhile, and that differs at a follower which has applied the mark, is a difference. (FIELD.md, Comparing
data: without that look, rows under way are reported.)
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from strangler.movement.backfill import Copy, range_of
from strangler.movement.errors import CopyRefused, FollowFailed
from strangler.movement.tables import Connection, Table, agreed, connection, read, sentence

READING = 0x5742_5246  # advisory, at the follower: shared while a verification reads its tables
BUCKETS = 1024  # a power of two; a million rows make buckets of a thousand
LONGEST_REST = 5.0  # seconds
LOOKS = 20  # at a row that the owner keeps writing, before it counts as unsettled
AGREEING = 2  # looks that must find a difference: within one, a row may come and go again unseen
APPLIED_WITHIN = 30.0  # seconds for the follower to come to a mark
POLL_SECONDS = 0.02

Key = tuple[str, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """A row that isn't the owner's: "missing" at the follower, "extra" there, "different"; key as texts."""

    table: str
    key: Key
    kind: str

    def __str__(self) -> str:
        return f"{self.table} ({', '.join(self.key)}) is {self.kind} at the follower"


@dataclass(frozen=True)
class Pace:
    """Read `rows` at a time, in the order of their keys, then rest `rest` times as long as that took.

    So it takes at most 1 / (1 + rest) of one connection's time, and no snapshot is held for long.
    """

    rows: int = 10_000
    rest: float = 9.0

    def rest_after(self, seconds: float) -> float:
        """How many seconds to rest after so many."""
        return min(self.rest * seconds, LONGEST_REST)


@dataclass(frozen=True)
class TableVerified:
    """One table: `rows` at the owner, `suspects` that differed at first sight, and what is left of them."""

    name: str
    rows: int
    suspects: int
    differences: tuple[Difference, ...]
    unsettled: tuple[Key, ...]


@dataclass(frozen=True)
class Verified:
    """A verification that ran to its end; `followed`: through a running stream, not at rest.

    `began` is the follower's time.
    """

    tables: tuple[TableVerified, ...]
    followed: bool
    began: datetime.datetime
    seconds: float

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(one for table in self.tables for one in table.differences)

    @property
    def equal(self) -> bool:
        """Nothing differs, and nothing is left open."""
        return bool(self.tables) and all(not t.differences and not t.unsettled for t in self.tables)

    @property
    def reason(self) -> str:
        """One sentence: what was found."""
        rows = f"{sum(table.rows for table in self.tables):,} rows in {len(self.tables)} tables"
        if self.equal:
            return f"{rows} are equal on both sides."
        unsettled = sum(len(table.unsettled) for table in self.tables)
        open_ = f", {unsettled} never settled (the owner kept writing them)" if unsettled else ""
        return f"Of {rows}, {len(self.differences)} differ{open_}."


def verify(source_url: str, target_url: str, tables: Sequence[str], *, pace: Pace | None = None) -> Verified:
    """Compare every row of `tables`; neither side stops for it. As fast as it goes, or at a `pace`.

    Tables that follow are compared through their stream, which must be running; others as they stand. Raises
    CopyRefused where the sides can't be compared, FollowFailed when a database or the stream stops it.
    """
    start = time.perf_counter()
    with connection(source_url, "owner") as owner, connection(target_url, "follower") as follower, _told():
        (began,) = follower.execute("SELECT clock_timestamp()").fetchone() or (None,)
        assert began is not None  # a clock always answers
        follower.execute("SELECT pg_advisory_lock_shared(%s)", [READING])
        shapes = [agreed(owner, follower, name) for name in dict.fromkeys(tables)]
        followed = _followed(follower, shapes)
        found = tuple(_Look(owner, follower, table, followed).verified(pace) for table in shapes)
    return Verified(found, followed, began, time.perf_counter() - start)


def resend(source_url: str, differences: Sequence[Difference]) -> int:
    """Have the owner send these rows once more, as they are when they are read; the number of rows.

    It goes the way of every change: a row in the change stream, and one in `strangler_capture.repair` that
    says so. The follower must follow; verify again when it has.
    """
    with connection(source_url, "owner") as owner, _told(), owner.transaction():
        for one in differences:
            table = read(owner, one.table, "owner")
            owner.execute(
                """INSERT INTO strangler_capture.change (table_name, operation, shape, content)
                   VALUES (%s, 'R', strangler_capture.shape(%s::regclass), %s)""",
                [table.name, table.identifier.as_string(owner), _only_key(owner, table, one.key)],
            )
            owner.execute(
                "INSERT INTO strangler_capture.repair (table_name, key, difference) VALUES (%s, %s, %s)",
                [table.name, list(one.key), one.kind],
            )
    return len(differences)


@dataclass(frozen=True)
class Slice:
    """The rows of a table with keys above `after` and up to `upto`; None: no bound."""

    table: Table
    after: list[str] | None
    upto: list[str] | None

    @property
    def condition(self) -> sql.Composable:
        return range_of(self.table, self.after, self.upto)

    @property
    def parameters(self) -> list[Any]:
        return [*(self.after or ()), *(self.upto or ())]


class _Look:
    """One table, on both sides."""

    def __init__(self, owner: Connection, follower: Connection, table: Table, followed: bool) -> None:
        self.owner, self.follower, self.table, self.followed = owner, follower, table, followed

    def verified(self, pace: Pace | None) -> TableVerified:
        whole = TableVerified(self.table.name, 0, 0, (), ())
        for one in self._slices(pace):
            began = time.monotonic()
            found = self._verified(one)
            whole = TableVerified(
                whole.name,
                whole.rows + found.rows,
                whole.suspects + found.suspects,
                whole.differences + found.differences,
                whole.unsettled + found.unsettled,
            )
            if pace:
                time.sleep(pace.rest_after(time.monotonic() - began))
        return whole

    def _slices(self, pace: Pace | None) -> Iterator[Slice]:
        """The whole table, or ranges of keys that leave no key out, whatever is written meanwhile."""
        after: list[str] | None = None
        if pace:
            copy = Copy(self.owner, self.follower, lambda _: None, pace.rows)
            for side in (self.owner, self.follower):
                side.execute("SET enable_seqscan = off")  # a range is read by the key's index
            while upto := copy.boundary(self.table, after):
                yield Slice(self.table, after, upto)
                after = upto
        yield Slice(self.table, after, None)

    def _verified(self, one: Slice) -> TableVerified:
        here, there = self._on_both(lambda side: self._buckets(side, one))
        rows = sum(count for count, _ in here.values())
        differing = [bucket for bucket in here.keys() | there.keys() if here.get(bucket) != there.get(bucket)]
        if not differing:
            return TableVerified(self.table.name, rows, 0, (), ())
        ours, theirs = self._on_both(lambda side: self._rows_of(side, one, differing))
        suspects = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
        differences, unsettled = self._settle(suspects)
        return TableVerified(
            self.table.name, rows, len(suspects), tuple(differences), tuple(sorted(unsettled))
        )

    def _settle(self, suspects: set[Key]) -> tuple[list[Difference], set[Key]]:
        """Differences among the suspects, and those of which the owner's writing lets nothing be said."""
        differences: list[Difference] = []
        agreeing: Counter[Key] = Counter()
        left = suspects
        for _ in range(LOOKS):
            if not left:
                break
            before = self._versions(left)
            if self.followed:
                self._wait_for(self._mark())
            there = self._hashes(self.follower, left)
            after = self._versions(left)
            again = set()
            for key in left:
                ours, theirs = after.get(key), there.get(key)
                if before.get(key) != ours:
                    again.add(key)
                elif (ours and ours[0]) != theirs:
                    agreeing[key] += 1
                    if agreeing[key] < AGREEING:
                        again.add(key)
                        continue
                    kind = "missing" if theirs is None else "extra" if ours is None else "different"
                    differences.append(Difference(self.table.name, key, kind))
            left = again
        return sorted(differences, key=lambda one: one.key), left

    # ── what is read ─────────────────────────────────────────────────────────────────────────────

    def _buckets(self, side: Connection, one: Slice) -> dict[int, tuple[int, int]]:
        """Rows and xor of their hashes, by bucket."""
        found = side.execute(
            sql.SQL("SELECT {}, count(*), bit_xor({}) FROM {} AS t WHERE {} GROUP BY 1").format(
                self._bucket, self.table.row_hash, self.table.identifier, one.condition
            ),
            one.parameters,
        )
        return {bucket: (count, checksum) for bucket, count, checksum in found}

    def _rows_of(self, side: Connection, one: Slice, buckets: list[int]) -> dict[Key, int]:
        """The hash of every row of some buckets, by key."""
        found = side.execute(
            sql.SQL("SELECT {}, {} FROM {} AS t WHERE {} AND {} = ANY(%s)").format(
                self.table.key_of("t", "::text"),
                self.table.row_hash,
                self.table.identifier,
                one.condition,
                self._bucket,
            ),
            [*one.parameters, buckets],
        )
        return {tuple(key): hash_ for *key, hash_ in found}

    def _hashes(self, side: Connection, keys: set[Key]) -> dict[Key, int]:
        return {key: hash_ for key, (hash_, _) in self._by_key(side, keys).items()}

    def _versions(self, keys: set[Key]) -> dict[Key, tuple[int, str]]:
        """The owner's rows: hash, and which version of the row it is."""
        return self._by_key(self.owner, keys)

    def _by_key(self, side: Connection, keys: set[Key]) -> dict[Key, tuple[int, str]]:
        names = [sql.Identifier(f"k{n}") for n in range(len(self.table.key))]
        casts = (
            sql.SQL("{}::{}").format(name, sql.SQL(column.type))
            for name, column in zip(names, self.table.key, strict=True)
        )
        found = side.execute(
            sql.SQL(
                "SELECT {}, {}, t.xmin::text FROM {} AS t WHERE ({}) IN (SELECT {} FROM unnest({}) AS k({}))"
            ).format(
                self.table.key_of("t", "::text"),
                self.table.row_hash,
                self.table.identifier,
                self.table.key_of("t"),
                sql.SQL(", ").join(casts),
                sql.SQL(", ").join(sql.SQL("%s::text[]") for _ in names),
                sql.SQL(", ").join(names),
            ),
            [list(values) for values in zip(*keys, strict=True)],
        )
        return {tuple(key): (hash_, version) for *key, hash_, version in found}

    @property
    def _bucket(self) -> sql.Composed:
        return sql.SQL("(hashtextextended(ROW({})::text, 0) & {})::int").format(
            self.table.key_of("t"), sql.Literal(BUCKETS - 1)
        )

    def _on_both(self, look: Callable[[Connection], T]) -> tuple[T, T]:
        """The same of the owner and of the follower, at the same time."""
        with ThreadPoolExecutor(1) as beside:
            there = beside.submit(look, self.follower)
            return look(self.owner), there.result()

    # ── the stream ───────────────────────────────────────────────────────────────────────────────

    def _mark(self) -> str:
        """Write a mark into the owner's stream; its transaction."""
        found = self.owner.execute(
            "INSERT INTO strangler_capture.change (table_name, operation) VALUES ('', 'M') RETURNING tx::text"
        ).fetchone()
        assert found is not None  # an INSERT that returns
        return str(found[0])

    def _wait_for(self, mark: str) -> None:
        """Until the follower has applied everything up to the mark."""
        deadline = time.monotonic() + APPLIED_WITHIN
        seen = "SELECT pg_visible_in_snapshot(%s::xid8, snapshot) FROM strangler_movement.watermark"
        while self.follower.execute(seen, [mark]).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise FollowFailed(
                    f"The follower hasn't applied a mark within {APPLIED_WITHIN:.0f} s, so nothing can be "
                    "said of its rows. Nothing was changed; `strangler status` says what the follower does, "
                    "and `strangler logs follower` what it said."
                )
            time.sleep(POLL_SECONDS)


def _followed(follower: Connection, tables: list[Table]) -> bool:
    """Whether these tables follow; CopyRefused where some do, and some don't or aren't copied whole."""
    if follower.execute("SELECT to_regclass('strangler_movement.followed')").fetchone() == (None,):
        return False
    states: Mapping[str, Any] = dict(
        follower.execute("SELECT table_name, state FROM strangler_movement.followed").fetchall()
    )
    found = {states.get(table.name) for table in tables}
    if len(found) > 1 or found - {None, "following"}:
        unfinished = ", ".join(table.name for table in tables if states.get(table.name) != "following")
        raise CopyRefused(
            f"{unfinished} isn't copied whole yet, so its rows can't be verified. Nothing was changed; "
            "wait until the follower has done that."
        )
    return found == {"following"}


def _only_key(owner: Connection, table: Table, key: Key) -> str:
    """A row of `table` as its type writes it, with nothing in it but the key."""
    values = dict(zip((column.name for column in table.key), key, strict=True))
    columns = owner.execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        [table.identifier.as_string(owner)],
    ).fetchall()
    fields = (
        sql.SQL("{}::{}").format(sql.Literal(values[name]), sql.SQL(type_))
        if name in values
        else sql.SQL("NULL")
        for name, type_ in columns
    )
    (row,) = owner.execute(sql.SQL("SELECT ROW({})::text").format(sql.SQL(", ").join(fields))).fetchone() or (
        "",
    )
    return str(row)


@contextmanager
def _told() -> Iterator[None]:
    """A database's own error as FollowFailed."""
    try:
        yield
    except psycopg.Error as error:
        raise FollowFailed(
            f"The verification stopped: {sentence(error)} Nothing was changed; run it again."
        ) from error
