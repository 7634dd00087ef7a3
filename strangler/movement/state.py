"""How a capability's rows stand between its two homes, read from both: evidence for gates and status.

Read afresh at every look, and cheap: nothing here reads the rows themselves.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from strangler.movement import capture, foreign_keys, rounds, windows
from strangler.movement.backfill import Progress, refuse_one_database
from strangler.movement.errors import MovementError
from strangler.movement.rounds import Round
from strangler.movement.tables import Connection, agreed, connection, sentence
from strangler.movement.windows import Lag
from strangler.movement.word import WITHIN_SECONDS


@dataclass(frozen=True)
class FollowState:
    """How the tables of one capability follow. What couldn't be learned is None, and never counts as good.

    `ordered`: it is to follow. `since`: when the last of its tables began to follow, None while rows are
    copied, of which `copying` says how many are there. `word`: the age in seconds of the follower's last
    word, and `held` why it applies nothing. `round` is the last verification that ran to its end since then,
    `age` the seconds since that end, `problem` why the latest one has none. `unknown`: why nothing could be
    learned.
    """

    ordered: bool
    since: datetime.datetime | None = None
    copying: tuple[Progress, ...] = ()
    word: float | None = None
    held: str | None = None
    lag: Lag | None = None
    round: Round | None = None
    age: float | None = None
    problem: str | None = None
    unknown: str | None = None

    @property
    def lives(self) -> bool:
        """The follower spoke a moment ago."""
        return self.word is not None and self.word <= WITHIN_SECONDS

    @property
    def follows(self) -> bool:
        """Every table is copied whole, and each change is applied as it comes."""
        return self.ordered and self.since is not None and self.held is None and self.unknown is None


def unfit(source_url: str, target_url: str, tables: Sequence[str]) -> tuple[str, ...]:
    """Why these tables can't follow as they are now, in sentences; none where they can."""
    try:
        with connection(source_url, "owner") as owner, connection(target_url, "follower") as follower:
            refuse_one_database(owner, follower)
            reasons = capture.refusals(owner, tables)
            shapes = []
            for name in tables if not reasons else ():
                try:
                    shapes.append(agreed(owner, follower, name))
                except MovementError as refusal:
                    reasons.append(str(refusal))
            foreign_keys.refuse_immediate(follower, shapes)
            return tuple(reasons)
    except MovementError as refusal:
        return (str(refusal),)
    except psycopg.Error as error:
        return (f"The tables can't be looked at: {sentence(error)}",)


def follow_state(source_url: str, target_url: str, capability: str, tables: Sequence[str]) -> FollowState:
    """How the capability's tables follow now; raises nothing but programming errors."""
    try:
        with connection(target_url, "follower") as follower:
            if not _has_schema(follower):
                return FollowState(ordered=False)
            with connection(source_url, "owner") as owner:
                return _state(owner, follower, capability, tables)
    except MovementError as refusal:
        return FollowState(ordered=False, unknown=str(refusal))
    except psycopg.Error as error:
        return FollowState(ordered=False, unknown=f"What follows can't be read: {sentence(error)}")


def _has_schema(follower: Connection) -> bool:
    return follower.execute("SELECT to_regclass('strangler_movement.round')").fetchone() != (None,)


def _state(owner: Connection, follower: Connection, capability: str, tables: Sequence[str]) -> FollowState:
    ordered = follower.execute(
        "SELECT tables FROM strangler_movement.ordered WHERE capability = %s", [capability]
    ).fetchone()
    word = follower.execute(
        """SELECT extract(epoch FROM clock_timestamp() - said_at)::float8, held, copying
           FROM strangler_movement.word"""
    ).fetchone()
    age, held, copying = word or (None, None, {})
    if ordered is None:
        return FollowState(ordered=False, word=age)
    since = _following_since(owner, follower, tables)
    if missing := [name for name in tables if name not in ordered[0]]:
        held = held or (
            f"{', '.join(missing)} isn't among the tables that were ordered to follow. Take {capability} "
            "back to the monolith (`strangler reverse`; writes: `strangler cancel`), and apply it again."
        )
    found = follower.execute("SELECT snapshot::text FROM strangler_movement.watermark").fetchone()
    watermark = found and found[0]
    lag = None
    if watermark and (name := capture.lost(owner, tables)):
        held = held or f"{name} has lost triggers of ours at the owner; the follower puts them there again."
    elif watermark:
        lag = windows.lag(owner, watermark)
    last = rounds.last(follower, capability, since) if since else None
    return FollowState(
        ordered=True,
        since=since,
        copying=tuple(Progress(name, *copying[name]) for name in tables if name in copying),
        word=age,
        held=held,
        lag=lag,
        round=last,
        age=rounds.age(follower, last) if last else None,
        problem=rounds.problem(follower, capability, since) if since else None,
    )


def _following_since(
    owner: Connection, follower: Connection, tables: Sequence[str]
) -> datetime.datetime | None:
    """When the last of the tables began to follow, with its foreign keys back; None while one doesn't."""
    if owner.execute("SELECT to_regclass('strangler_capture.captured')").fetchone() == (None,):
        return None
    captures: dict[str, object] = dict(
        owner.execute("SELECT table_name, capture FROM strangler_capture.captured").fetchall()
    )
    follows = {
        name: since
        for name, capture_, since in follower.execute(
            """SELECT f.table_name, f.capture, f.since FROM strangler_movement.followed AS f
               JOIN strangler_movement.backfill_progress AS p USING (table_name)
               WHERE f.state = 'following' AND p.finished_at IS NOT NULL AND NOT EXISTS (
                   SELECT FROM strangler_movement.foreign_key_set_aside AS k
                   WHERE f.table_name = ANY(k.touches))"""
        )
        if captures.get(name) == capture_
    }
    return max(follows.values()) if set(tables) <= set(follows) else None
