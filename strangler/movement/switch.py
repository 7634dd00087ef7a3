"""The write switch: ownership of a capability's rows moves from one home to the other, or not at all.

The order isn't free to choose (docs/switching.md says why). Each step may be done again; what a killed
operator left is finished or undone by `recover`, which reads both homes' beliefs and nothing else.

    offer         the home that takes over knows of the epoch, and captures
    raise_fence   the owner refuses writes; what it accepted is committed
    drain         the follower has applied everything, and the outbox is told to its end
    hand_over     sequences, counters of the outbox and inbox rows go on where they were
    prepare_back  the reverse stream's position is taken before the new owner admits a write
    commit        the commit point
    give_away     the old owner follows; its fence stays up
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from strangler.movement import capture, fence, handover, orders, ownership, recorder
from strangler.movement.backfill import lay_schema
from strangler.movement.errors import FollowFailed, SwitchHeld, SwitchLost, SwitchRefused
from strangler.movement.ownership import Belief, State, Verdict, verdict
from strangler.movement.tables import HELD_SECONDS, Connection, connection, read, sentence

FENCE_SECONDS = 10.0  # until any home may undo; shorter than the gateway lets a request wait
POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Side:
    """One home: its name, its database, the applier's login there, and what the refused are advised to do."""

    home: str
    url: str
    applier: str
    advice: str = ""

    @property
    def applier_role(self) -> str:
        return unquote(urlsplit(self.applier).username or "")


class Bench:
    """Connections to both homes, kept from one step to the next: under a fence, opening one counts."""

    def __init__(self) -> None:
        self._until_closed = ExitStack()
        self._open: dict[str, Connection] = {}

    def at(self, side: Side) -> Connection:
        """The connection to a home; opened anew where it is gone."""
        found = self._open.get(side.url)
        if found is None or found.closed or found.broken:
            found = self._until_closed.enter_context(connection(side.url, side.home, held=HELD_SECONDS))
            self._open[side.url] = found
        return found

    def close(self) -> None:
        """End what is open."""
        self._open.clear()
        self._until_closed.close()


@dataclass(frozen=True)
class Switch:
    """One move of a capability's rows from `origin` to `target`, in its epoch."""

    name: str
    tables: tuple[str, ...]
    origin: Side
    target: Side
    epoch: int
    bench: Bench = field(default_factory=Bench, compare=False, repr=False)

    @contextmanager
    def at_origin(self) -> Iterator[Connection]:
        """The home that gives away; its database's own error as FollowFailed."""
        with _told(self.origin.home):
            yield self.bench.at(self.origin)

    @contextmanager
    def at_target(self) -> Iterator[Connection]:
        """The home that takes over, likewise."""
        with _told(self.target.home):
            yield self.bench.at(self.target)

    @contextmanager
    def at_both(self) -> Iterator[tuple[Connection, Connection]]:
        with self.at_origin() as origin, self.at_target() as target:
            yield origin, target


def replicate(name: str, tables: Sequence[str], owner: Side, follower: Side) -> None:
    """Let both homes know who owns the rows, record who else writes them, and keep others off the follower's.

    Done again it changes nothing. Raises SwitchRefused before anything was written, SwitchHeld.
    """
    with _both(owner, follower) as (at_owner, at_follower):
        for side, at in ((owner, at_owner), (follower, at_follower)):
            _refuse_taken_names(side, at, tables)
        epoch = max(ownership.last_epoch(at, name) for at in (at_owner, at_follower))
        ownership.establish(
            at_owner, name, tables, State.OWNER,
            other=follower.home, advice=owner.advice, applier=owner.applier_role, epoch=epoch,
        )  # fmt: skip
        ownership.establish(
            at_follower, name, tables, State.FOLLOWER,
            other=owner.home, advice=follower.advice, applier=follower.applier_role, epoch=epoch,
        )  # fmt: skip
        context = name.partition(".")[0]
        recorder.install(at_owner, context, tables, owner.applier_role)
        recorder.install(at_follower, context, tables, follower.applier_role)
    capture.install(owner.url, tables, echo=owner.applier_role)


def forget(name: str, one: Side, other: Side) -> None:
    """Take the fences off and forget who owns; who does goes on, and the other's rows stay as they are."""
    with _both(one, other) as (here, there):
        for side in (there, here):
            if belief := ownership.read(side, name):
                recorder.remove(side, belief.tables)
            ownership.forget(side, name)


def begin(name: str, tables: Sequence[str], origin: Side, target: Side) -> Switch:
    """The switch that would be next, in a new epoch; changes nothing.

    Raises SwitchRefused unless `origin` owns the rows and `target` follows, every table copied whole.
    """
    here, there = beliefs(name, origin, target)
    if not here or not there or (here.state, there.state) != (State.OWNER, State.FOLLOWER):
        raise SwitchRefused(
            f"{name} can't go from {origin.home} to {target.home}: {origin.home} is {here or 'unknown'}, "
            f"{target.home} is {there or 'unknown'}. Nothing was changed; see `strangler status`."
        )
    if verdict(here, there) is not Verdict.SETTLED:
        raise SwitchRefused(
            f"{origin.home} and {target.home} don't agree on who owns {name} ({here}; {there}). Nothing was "
            "changed. Was one of the databases restored from a backup? Compare them before you go on."
        )
    if missing := _not_followed(target, tables):
        raise SwitchRefused(
            f"{', '.join(missing)} isn't copied whole to {target.home} yet, so {name} can't move there. "
            "Nothing was changed; wait until the follower has done that."
        )
    return Switch(name, tuple(tables), origin, target, max(here.epoch, there.epoch) + 1)


def beliefs(name: str, one: Side, other: Side) -> tuple[Belief | None, Belief | None]:
    """What both homes' databases say."""
    with _both(one, other) as (here, there):
        return ownership.read(here, name), ownership.read(there, name)


# ── The steps, in their order ────────────────────────────────────────────────────────────────────


def offer(switch: Switch) -> None:
    """Let the home that takes over know of the epoch, and prepare there what would take time under a fence.

    Capture, which it must have before it admits a write, takes nothing while only the applier writes.
    """
    with switch.at_both() as (origin, target):
        capture.install(switch.target.url, switch.tables, echo=switch.target.applier_role)
        lay_schema(origin)
        ownership.offer(target, switch.name, switch.epoch)


def raise_fence(switch: Switch, seconds: float = FENCE_SECONDS) -> None:
    """Have the owner refuse writes, for `seconds` at most until anybody may undo."""
    with switch.at_origin() as origin:
        ownership.raise_fence(origin, switch.name, switch.epoch, seconds)


def drain(switch: Switch, *, outbox: Callable[[], int] | None = None) -> None:
    """Wait until the follower has applied all, and `outbox` counts nothing that is still to be told.

    Raises SwitchHeld at the deadline, with how far it came.
    """
    with switch.at_both() as (origin, target):
        if not ownership.may_commit(target, switch.name, switch.epoch):
            return
        found = origin.execute(
            "INSERT INTO strangler_capture.change (table_name, operation) VALUES ('', 'M') RETURNING tx::text"
        ).fetchone()
        mark = found[0] if found else ""
        seen = "SELECT pg_visible_in_snapshot(%s::xid8, snapshot) FROM strangler_movement.watermark"
        while True:
            followed = target.execute(seen, [mark]).fetchone() == (True,)
            untold = outbox() if outbox else 0
            _insist_on_time(origin, switch, "" if followed else "the follower is behind", untold)
            if followed and not untold:
                return
            time.sleep(POLL_SECONDS)


def hand_over(switch: Switch) -> None:
    """Let the new owner's ids, event counters and inbox go on where the old one's were; never backwards."""
    with switch.at_both() as (origin, target):
        handover.sequences(origin, target, switch.tables)
        handover.outbox_counters(origin, target)
        with target.transaction():
            if ownership.may_commit(target, switch.name, switch.epoch):
                handover.inbox(origin, target, switch.name.partition(".")[0])


def prepare_back(switch: Switch) -> None:
    """Note at the old owner from where it will follow the new one.

    The rows are equal and nobody writes: the position taken here loses nothing, and repeats nothing.
    """
    with switch.at_both() as (origin, target):
        shapes = {name: read(target, name, "owner").fingerprint for name in switch.tables}
        captures = dict(
            target.execute("SELECT table_name, capture FROM strangler_capture.captured").fetchall()
        )
        with target.transaction(), origin.transaction():
            if not ownership.may_commit(target, switch.name, switch.epoch):
                return  # a position taken now would pass over what the new owner has written since
            (snapshot,) = target.execute("SELECT pg_current_snapshot()::text").fetchone() or ("",)
            follower, windows = origin.execute(
                """INSERT INTO strangler_movement.watermark (snapshot) VALUES (%s)
                   ON CONFLICT (one) DO UPDATE SET snapshot = excluded.snapshot, moved_at = now()
                   RETURNING follower::text, windows""",
                [snapshot],
            ).fetchone() or ("", 0)
            for name in switch.tables:
                origin.execute(
                    """INSERT INTO strangler_movement.followed (table_name, capture, shape, state)
                       VALUES (%s, %s, %s, 'following') ON CONFLICT (table_name) DO UPDATE
                       SET capture = excluded.capture, shape = excluded.shape, state = excluded.state""",
                    [name, captures[name], shapes[name]],
                )
                origin.execute(
                    """INSERT INTO strangler_movement.backfill_progress (table_name, shape, finished_at)
                       VALUES (%s, %s, now()) ON CONFLICT (table_name)
                       DO UPDATE SET shape = excluded.shape, finished_at = now()""",
                    [name, shapes[name]],
                )
            target.execute(
                """INSERT INTO strangler_capture.follower (name, applied, windows) VALUES (%s, %s, %s)
                   ON CONFLICT (name) DO UPDATE SET applied = excluded.applied, windows = excluded.windows""",
                [follower, snapshot, windows],
            )


def commit(switch: Switch) -> None:
    """The commit point. Raises SwitchLost if the epoch was burnt: then nothing has moved."""
    with switch.at_target() as target:
        ownership.commit(target, switch.name, switch.epoch)


def give_away(switch: Switch) -> None:
    """The old owner follows from here on: what was ordered of the new one is ordered of it."""
    with switch.at_both() as (origin, target):
        orders.turn_round(target, origin, switch.tables, switch.target.home)
        handover.leave_inbox(origin, switch.name.partition(".")[0])  # or operators would see it twice
        ownership.give_away(origin, switch.name, switch.epoch)


def undo(switch: Switch) -> bool:
    """Burn the epoch, then lower the fence; False if it has committed, and nothing can be undone."""
    with switch.at_both() as (origin, target):
        if not ownership.burn(target, switch.name, switch.epoch):
            return False
        ownership.lower_fence(origin, switch.name, switch.epoch)
        return True


# In their order; the first that fails is undone with all before it, unless the commit was reached.
STEPS: tuple[Callable[[Switch], None], ...] = (
    offer,
    raise_fence,
    drain,
    hand_over,
    prepare_back,
    commit,
    give_away,
)


# ── After a crash ────────────────────────────────────────────────────────────────────────────────


def recover(name: str, one: Side, other: Side, *, only_late: bool = False) -> Verdict:
    """Finish or undo what was left; returns DECIDED or UNDONE for what it has done.

    Committed goes forward, everything else back. With `only_late` a switch whose deadline hasn't passed is
    left to its operator, and UNDER_WAY. Raises SwitchRefused where the two beliefs contradict each other.
    """
    here, there = beliefs(name, one, other)
    if here is None or there is None:
        return Verdict.SETTLED
    switch = _of(name, (one, here), (other, there))
    try:
        return _end(name, (one, here), (other, there), switch, only_late)
    finally:
        if switch:
            switch.bench.close()


def _end(
    name: str,
    one: tuple[Side, Belief],
    other: tuple[Side, Belief],
    switch: Switch | None,
    only_late: bool,
) -> Verdict:
    (first, here), (second, there) = one, other
    match found := verdict(here, there):
        case Verdict.CONFLICT:
            raise SwitchRefused(
                f"{first.home} is {here}, and {second.home} is {there}: they contradict each other on who "
                f"owns {name}. Nothing was changed. Stop the writers, and compare both databases."
            )
        case Verdict.DECIDED if switch:
            give_away(switch)
        case Verdict.UNDONE if switch:
            undo(switch)
        case Verdict.SETTLED:
            _stand(name, one, other)
        case Verdict.UNDER_WAY if switch and (not only_late or here.late or there.late):
            if undo(switch):
                return Verdict.UNDONE
            give_away(switch)
            return Verdict.DECIDED
    return found


def _stand(name: str, *known: tuple[Side, Belief]) -> None:
    """Put a fence right that a killed recovery left half way."""
    for side, belief in known:
        if belief.fence is not (belief.state is not State.OWNER):
            with _at(side) as home:
                ownership.stand(home, name)


def _of(name: str, one: tuple[Side, Belief], other: tuple[Side, Belief]) -> Switch | None:
    """The switch that two beliefs tell of: its origin owns or is fenced, its target follows or is offered."""
    for (origin, here), (target, there) in ((one, other), (other, one)):
        if here.state is State.FENCED or (here.state is State.OWNER and there.state is State.OFFERED):
            return Switch(name, here.tables, origin, target, max(here.epoch, there.epoch))
    return None


# ── Pieces ───────────────────────────────────────────────────────────────────────────────────────


def _refuse_taken_names(side: Side, at: Connection, tables: Sequence[str]) -> None:
    """SwitchRefused where a trigger has one of the names that a move will need at this home."""
    taken = at.execute(
        """SELECT t.tgrelid::regclass::text, t.tgname FROM pg_trigger AS t
           JOIN pg_proc AS p ON p.oid = t.tgfoid
           WHERE t.tgrelid = ANY(%s::regclass[]) AND t.tgname = ANY(%s)
             AND NOT starts_with(p.pronamespace::regnamespace::text, 'strangler_') ORDER BY 1, 2""",
        [
            [sql.Identifier(*table.split(".")).as_string(at) for table in tables],
            [*fence.TRIGGERS, *recorder.TRIGGERS, *capture.TRIGGERS],
        ],
    ).fetchall()
    if taken:
        named = ", ".join(f"{table} has a trigger {trigger}" for table, trigger in taken)
        raise SwitchRefused(
            f"At {side.home} {named} that isn't ours. Nothing was changed at either home; rename it."
        )


def _not_followed(target: Side, tables: Sequence[str]) -> list[str]:
    with _at(target) as follower:
        known = "SELECT to_regclass('strangler_movement.followed') IS NOT NULL"
        if follower.execute(known).fetchone() != (True,):
            return list(tables)
        following = {
            name
            for (name,) in follower.execute(
                "SELECT table_name FROM strangler_movement.followed, strangler_movement.watermark "
                "WHERE state = 'following' AND snapshot IS NOT NULL"
            )
        }
    return [name for name in tables if name not in following]


def _insist_on_time(origin: Connection, switch: Switch, follower: str, untold: int) -> None:
    found = ownership.read(origin, switch.name)
    if found is None or (found.state, found.epoch, found.fence) != (State.FENCED, switch.epoch, True):
        raise SwitchLost(
            f"The fence of {switch.name} isn't up in epoch {switch.epoch} ({found or 'unknown'}): "
            "somebody has undone this switch. Nothing has moved."
        )
    if found.late and (follower or untold):
        told = f"{untold:,} events are still to be told" if untold else ""
        raise SwitchHeld(
            f"{switch.name} didn't come to the end of its stream in time: "
            f"{', and '.join(filter(None, (follower, told)))}. Nothing has moved; the fence is lowered again."
        )


@contextmanager
def _at(side: Side) -> Iterator[Connection]:
    with connection(side.url, side.home, held=HELD_SECONDS) as opened, _told(side.home):
        yield opened


@contextmanager
def _both(one: Side, other: Side) -> Iterator[tuple[Connection, Connection]]:
    with _at(one) as here, _at(other) as there:
        yield here, there


@contextmanager
def _told(home: str) -> Iterator[None]:
    """A database's own error as FollowFailed."""
    try:
        yield
    except psycopg.Error as error:
        raise FollowFailed(
            f"The database of {home} stopped the switch: {sentence(error)} What was done before it stays; "
            "`strangler status` says where that is."
        ) from error
