"""The follower's side of the stream: chunks of a copy and windows of changes, one after the other.

Each step reads the owner in one snapshot: the changes since the last step for what is copied, and the next
chunk of what isn't. Both are written in one transaction with the watermark, so the follower is at every
moment what the owner was at that snapshot, as far as the copy has come, and a process that is killed goes on
from there. Rows are deleted before any is written: unique values can swap.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from strangler.movement import capture, foreign_keys, ownership, windows
from strangler.movement.backfill import (
    CHUNK_ROWS,
    Copy,
    Progress,
    Tell,
    alone,
    lay_schema,
    refuse_one_database,
)
from strangler.movement.errors import CopyRefused, FollowFailed, FollowHeld
from strangler.movement.tables import Connection, Table, agreed, connection, sentence
from strangler.movement.windows import Arrival, Lag, Window

CONFIRM_SECONDS = 5.0  # between two words to the owner on what it may forget


@dataclass(frozen=True)
class Step:
    """What one step did: `changes` that it applied, `copied` rows of the backfill; `done`: all follows."""

    changes: int
    copied: int
    done: bool

    @property
    def idle(self) -> bool:
        """There was nothing to do."""
        return self.done and not self.changes and not self.copied


@contextmanager
def following(
    source_url: str,
    target_url: str,
    tables: Sequence[str],
    *,
    progress: Tell | None = None,
    chunk_rows: int = CHUNK_ROWS,
    echo: str | None = None,
) -> Iterator[Following]:
    """Make the follower's `tables` follow the owner's, step by step, for the block.

    `target_url` logs in as the applier: a role of its own that is a member of the tables' owner there.
    Capture is installed where it isn't; what the role `echo` writes at the owner isn't taken. Raises
    CaptureRefused or CopyRefused before anything was written, FollowHeld while the two sides don't fit
    together, SwitchLost where the follower owns the rows by now, FollowFailed when a database stops it.
    """
    if not tables:
        raise CopyRefused("No tables are named, so there is nothing to follow. Nothing was changed.")
    names = tuple(dict.fromkeys(tables))
    with connection(source_url, "owner") as owner, connection(target_url, "follower") as follower:
        with _told():
            refuse_one_database(owner, follower)
            shapes = {name: _agreed(owner, follower, name) for name in names}
            _act_as_owner(follower, shapes[names[0]])
            for side in (owner, follower):
                side.execute("SET jit = off")  # compiling takes longer than a window
        with alone(follower):
            with _told():
                foreign_keys.refuse_immediate(follower, list(shapes.values()))
                capture.install(source_url, names, echo=echo)
                stream = Following(owner, follower, shapes, progress or (lambda _: None), chunk_rows)
            yield stream
            with _told():
                if owner.execute("SELECT to_regclass('strangler_capture.follower')").fetchone() != (None,):
                    stream.confirm()  # or nobody is to follow any more


class Following:
    """One stream, from the owner's tables to the follower's; not for several threads."""

    def __init__(
        self, owner: Connection, follower: Connection, tables: dict[str, Table], tell: Tell, chunk_rows: int
    ) -> None:
        self.owner, self.follower, self.tables, self.tell = owner, follower, tables, tell
        self._copy = Copy(owner, follower, tell, chunk_rows)
        self._shapes: tuple[list[int], str] | None = None
        self._totals: dict[str, int] = {}
        self._types = {name: sql.SQL(_qualified(owner, table)) for name, table in tables.items()}
        self._finished = False  # ends what a killed run left undone, too
        self._confirmed = time.monotonic()
        self._begin()

    def step(self) -> Step:
        """Apply what is new and copy one chunk more, at one snapshot, in one transaction."""
        with _told():
            with windows.snapshot(self.owner, list(self.tables.values())) as now:
                step = self._step(now)
            if step.done and not self._finished:
                self._copy.finish(list(self.tables.values()))
                self._finished = True
            if time.monotonic() - self._confirmed > CONFIRM_SECONDS:
                self._check_captures()
                self.confirm()
        return step

    def catch_up(self) -> None:
        """Step until nothing is left to do."""
        while not self.step().idle:
            pass

    def lag(self) -> Lag:
        """How far the follower lies behind; call it between steps."""
        with _told():
            return windows.lag(self.owner, self.since) if self.since else Lag(0, 0.0)

    def confirm(self) -> None:
        """Tell the owner what is applied, and let it forget what every follower has."""
        if self.since:
            with self.owner.transaction():
                self.owner.execute(
                    """UPDATE strangler_capture.follower SET applied = %s, windows = %s, moved_at = now()
                       WHERE name = %s""",
                    [self.since, self._windows, self._name],
                )
                self.owner.execute(
                    """DELETE FROM strangler_capture.change AS c WHERE NOT EXISTS (
                           SELECT FROM strangler_capture.follower AS f
                           WHERE NOT pg_visible_in_snapshot(c.tx, f.applied))"""
                )
        self._confirmed = time.monotonic()

    def _check_captures(self) -> None:
        """FollowFailed where changes may have been missed: the next beginning compares every row."""
        captures: dict[str, object] = dict(
            self.owner.execute("SELECT table_name, capture FROM strangler_capture.captured").fetchall()
        )
        if lost := capture.lost(self.owner, list(self.tables)):
            raise FollowFailed(
                f"{lost} has lost triggers of ours at the owner. They are put there again, and all of its "
                "rows are compared."
            )
        for name in self.tables:
            if captures[name] != self._captures[name]:
                raise FollowFailed(f"{name} was captured anew at the owner; all of its rows are compared.")

    # ── where it stands ──────────────────────────────────────────────────────────────────────────

    def _begin(self) -> None:
        """Read the watermark, and find out for each table what is to be done with it."""
        self._epochs = ownership.epochs(self.follower, list(self.tables))
        lay_schema(self.follower)
        self.follower.execute(
            "INSERT INTO strangler_movement.watermark DEFAULT VALUES ON CONFLICT (one) DO NOTHING"
        )
        found = self.follower.execute(
            "SELECT follower::text, snapshot::text, windows FROM strangler_movement.watermark"
        ).fetchone()
        assert found is not None  # it was inserted just now
        self._name, self.since, self._windows = found
        forgotten = self._owner_forgot()
        captures: dict[str, object] = dict(
            self.owner.execute("SELECT table_name, capture FROM strangler_capture.captured").fetchall()
        )
        kept = {
            name: state
            for name, capture_, shape, state in self.follower.execute(
                "SELECT table_name, capture, shape, state FROM strangler_movement.followed"
            )
            if name in self.tables
            and (capture_, shape) == (captures[name], self.tables[name].fingerprint)
            and self.since
            and not forgotten
        }
        self._captures = captures
        with self.follower.transaction():
            self.states = {name: self._state(table, kept.get(name)) for name, table in self.tables.items()}
            for name, state in self.states.items():
                self._remember(name, state)
        if any(state != "following" for state in self.states.values()):
            foreign_keys.set_aside(self.follower, list(self.tables.values()))

    def _owner_forgot(self) -> bool:
        """Whether the owner may have forgotten changes that this follower lacks: one restored from a backup.

        Makes the follower known as well, before its first snapshot, so that nothing after it is forgotten.
        """
        self.owner.execute(
            "INSERT INTO strangler_capture.follower VALUES (%s, pg_current_snapshot()) "
            "ON CONFLICT DO NOTHING",
            [self._name],
        )
        found = self.owner.execute(
            "SELECT windows > %s FROM strangler_capture.follower WHERE name = %s", [self._windows, self._name]
        ).fetchone()
        return found == (True,)

    def _state(self, table: Table, kept: str | None) -> str:
        empty = self.follower.execute(
            sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table.identifier)
        ).fetchone() == (True,)
        if kept == "following" or (kept == "filling" and self._copied_to(table)):
            return kept
        if empty:
            self._copy.begin(table, resumed=False)
            return "filling"
        return "levelling"

    def _copied_to(self, table: Table) -> list[str] | None:
        """The last key that was copied."""
        found = self.follower.execute(
            "SELECT after_key FROM strangler_movement.backfill_progress WHERE table_name = %s", [table.name]
        ).fetchone()
        return found[0] if found else None

    def _remember(self, name: str, state: str) -> None:
        self.follower.execute(
            """INSERT INTO strangler_movement.followed (table_name, capture, shape, state)
               VALUES (%s, %s, %s, %s) ON CONFLICT (table_name) DO UPDATE
               SET capture = excluded.capture, shape = excluded.shape, state = excluded.state,
                   since = CASE WHEN (followed.capture, followed.state) = (excluded.capture, excluded.state)
                                THEN followed.since ELSE now() END""",
            [name, self._captures[name], self.tables[name].fingerprint, state],
        )
        self.states[name] = state

    # ── one step ─────────────────────────────────────────────────────────────────────────────────

    def _step(self, now: str) -> Step:
        shapes = self._owner_shapes()
        new = windows.window(self.owner, self.since or now, now, dict(zip(self.tables, shapes, strict=True)))
        copying = any(state != "following" for state in self.states.values())
        if not new.changes and not copying and self._shapes and self._shapes[0] == shapes:
            ownership.check(self.follower, list(self.tables), self._epochs)
            return Step(0, 0, True)
        states, tables = dict(self.states), self.tables
        try:
            with self.follower.transaction():
                ownership.hold(self.follower, list(self.tables), self._epochs)
                self._hold_unless_alike(shapes)
                changes = sum(
                    self._apply(self.tables[name], new, new.arrivals[name]) for name in new.arrivals
                )
                copied = self._copy_on()
                self._move_watermark(now)
        except BaseException:
            self.states, self.tables, self._shapes = states, tables, None
            raise
        self.since, self._windows = now, self._windows + 1
        return Step(changes, copied, all(state == "following" for state in self.states.values()))

    def _owner_shapes(self) -> list[int]:
        names = [table.identifier.as_string(self.owner) for table in self.tables.values()]
        found = self.owner.execute(
            "SELECT strangler_capture.shape(name::regclass) "
            "FROM unnest(%s::text[]) WITH ORDINALITY AS n(name, i) ORDER BY i",
            [names],
        ).fetchall()
        return [shape for (shape,) in found]

    def _hold_unless_alike(self, shapes: list[int]) -> None:
        """FollowHeld where the tables differ; the fingerprint travels with every window."""
        tables = sql.SQL(", ").join(table.identifier for table in self.tables.values())
        self.follower.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(tables))
        (here,) = self.follower.execute(
            """SELECT string_agg(
                   concat_ws(' ', attrelid, attname, atttypid, atttypmod, attnotnull, attgenerated),
                   ',' ORDER BY attrelid, attnum)
               FROM pg_attribute WHERE attrelid = ANY(%s::regclass[]) AND attnum > 0 AND NOT attisdropped""",
            [[table.identifier.as_string(self.follower) for table in self.tables.values()]],
        ).fetchone() or ("",)
        if self._shapes == (shapes, here):
            return
        before = self.tables
        self.tables = {name: _agreed(self.owner, self.follower, name) for name in before}
        for name, table in self.tables.items():
            if table.fingerprint != before[name].fingerprint:
                # A migration writes rows past every trigger: what they are is found by comparing all of them.
                self._remember(name, "levelling")
        for n, table in enumerate(self.tables.values()):
            landing = sql.Identifier("pg_temp", f"landing_{n}")
            self.follower.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(landing))
            self.follower.execute(
                sql.SQL(
                    "CREATE TEMPORARY TABLE {} ON COMMIT DELETE ROWS "
                    "AS SELECT false AS {}, {} FROM {} WITH NO DATA"
                ).format(
                    sql.Identifier(f"landing_{n}"),
                    sql.Identifier(windows.GONE),
                    table.column_list,
                    table.identifier,
                )
            )
        self._shapes = (shapes, here)

    def _apply(self, table: Table, new: Window, arrival: Arrival) -> int:
        """Write one table's part of a window; the number of changes in it."""
        if arrival.reshaped:  # and back again, or the columns stand in another order: unreadable as they are
            self._remember(table.name, "levelling")
        filling = self.states[table.name] == "filling"
        upto = self._copied_to(table) if filling else None
        if self.states[table.name] == "levelling" or (filling and upto is None):
            return 0  # the copy that comes reads these rows as they are now
        if arrival.truncated_at:
            self.follower.execute(sql.SQL("DELETE FROM {}").format(table.identifier))
        landing = sql.Identifier("pg_temp", f"landing_{list(self.tables).index(table.name)}")
        assert self.since is not None  # without a watermark there are no arrivals
        self._copy.stream(
            windows.rows(table, self._types[table.name], self.since, arrival, upto),
            [],
            landing,
            sql.SQL("{}, {}").format(sql.Identifier(windows.GONE), table.column_list),
        )
        # The landing has no statistics; by its keys the table is reached through its index.
        self.follower.execute("SET LOCAL enable_seqscan = off")
        self.follower.execute(
            sql.SQL("DELETE FROM {} AS t USING {} AS l WHERE ({}) = ({})").format(
                table.identifier, landing, table.key_of("t"), table.key_of("l")
            )
        )
        self.follower.execute(
            sql.SQL(
                "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {} WHERE NOT {}"
            ).format(table.identifier, landing, sql.Identifier(windows.GONE), columns=table.column_list)
        )
        self.follower.execute("SET LOCAL enable_seqscan = on")
        return arrival.changes

    def _copy_on(self) -> int:
        """Copy the next chunk of the first table that isn't copied whole, or level it; the rows written."""
        name = next((name for name, state in self.states.items() if state != "following"), None)
        if name is None:
            return 0
        table = self.tables[name]
        if self.states[name] == "levelling":
            changed = self._copy.level(table)
            self._is_copied(table)
            return changed
        after, rows = self._copy.begin(table, resumed=True)
        if name not in self._totals:
            self._totals[name] = self._copy.count(self.owner, table)
        # Without statistics the planner may sort the whole table for every chunk; the key's index never does.
        with self._copy.settings(enable_seqscan="off", enable_bitmapscan="off"):
            upto = self._copy.boundary(table, after)
            if upto is None:
                self._is_copied(table)
                return 0
            written = self._copy.chunk(table, after, upto)
        self._copy.remember(table, upto, rows + written)
        self.tell(Progress(name, rows + written, max(self._totals[name], rows + written)))
        return written

    def _is_copied(self, table: Table) -> None:
        self.follower.execute(sql.SQL("ANALYZE {}").format(table.identifier))
        self._remember(table.name, "following")

    def _move_watermark(self, now: str) -> None:
        moved = self.follower.execute(
            """UPDATE strangler_movement.watermark SET snapshot = %s, windows = windows + 1, moved_at = now()
               WHERE snapshot::text IS NOT DISTINCT FROM %s""",
            [now, self.since],
        ).rowcount
        if not moved:
            raise FollowFailed(
                "Somebody else has moved the watermark. This window was not applied; end the other follower."
            )


def _agreed(owner: Connection, follower: Connection, name: str) -> Table:
    try:
        return agreed(owner, follower, name)
    except CopyRefused as refusal:
        raise FollowHeld(f"{refusal} Changes gather at the owner until then.") from None


def _act_as_owner(follower: Connection, table: Table) -> None:
    """Take the rights of the tables' owner; whose login this is stays visible to triggers (session_user)."""
    found = follower.execute(
        """SELECT pg_get_userbyid(relowner), pg_get_userbyid(relowner) = session_user,
                  pg_has_role(session_user, relowner, 'MEMBER')
           FROM pg_class WHERE oid = %s::regclass""",
        [table.identifier.as_string(follower)],
    ).fetchone()
    assert found is not None  # both sides have just agreed on it
    role, same, member = found
    if same or not member:
        raise CopyRefused(
            f"The applier must log in to the follower's database with a role of its own, a member of {role}, "
            "so that what it writes can be told from what the home writes. Nothing was changed."
        )
    follower.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))


def _qualified(owner: Connection, table: Table) -> str:
    found = owner.execute(
        "SELECT format('%%I.%%I', nspname, relname) FROM pg_class AS c JOIN pg_namespace AS n "
        "ON n.oid = relnamespace WHERE c.oid = %s::regclass",
        [table.identifier.as_string(owner)],
    ).fetchone()
    return str(found[0]) if found else table.name


@contextmanager
def _told() -> Iterator[None]:
    """A database's own error as FollowFailed."""
    try:
        yield
    except psycopg.Error as error:
        raise FollowFailed(
            f"Following stopped: {sentence(error)} The follower stays at its last window; "
            "changes gather at the owner until the stream goes on."
        ) from error
