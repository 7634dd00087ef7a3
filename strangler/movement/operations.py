"""What a move does to a capability's rows, one operation for each effect; each may be done again.

The follower's process does the work. Here it is ordered, waited for, and told to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psycopg

from strangler.movement import capture, foreign_keys, orders, rounds
from strangler.movement.backfill import Progress
from strangler.movement.errors import CaptureRefused, CopyFailed, FollowFailed, FollowHeld
from strangler.movement.state import FollowState, follow_state, unfit
from strangler.movement.tables import Connection, connection, sentence
from strangler.movement.verify import verify
from strangler.movement.word import WITHIN_SECONDS

POLL_SECONDS = 0.2
HELD_SECONDS = 10.0  # that a reason may last before a wait ends with it

Tell = Callable[[Progress], None]


def begin_capture(source_url: str, target_url: str, tables: Sequence[str]) -> str:
    """Take every change of the owner's tables from here on; CaptureRefused where they can't follow."""
    if reasons := unfit(source_url, target_url, tables):
        raise CaptureRefused(" ".join(reasons))
    new = capture.install(source_url, tables)
    if not new:
        return "every change was being taken already"
    return f"every change of {', '.join(new)} is taken from here on"


def begin_to_follow(
    source_url: str,
    target_url: str,
    capability: str,
    owner: str,
    tables: Sequence[str],
    by: str,
    tell: Tell | None = None,
) -> str:
    """Order it, and wait until the follower has copied every row and applies each change as it comes.

    What was begun goes on without whoever waits. FollowHeld with the follower's reason where it holds,
    FollowFailed where it doesn't speak.
    """
    start = time.monotonic()
    try:
        with connection(target_url, "follower") as follower:
            new = orders.order(follower, capability, owner, tables, by)
    except psycopg.Error as error:
        raise FollowFailed(
            f"It can't be ordered at {target_url.rpartition('@')[2]}: {sentence(error)}"
        ) from error
    state = _wait(source_url, target_url, capability, tables, tell or (lambda _: None))
    seconds = time.monotonic() - start
    if not new and seconds < POLL_SECONDS:
        return "they follow already"
    rows = sum(now.rows for now in state.copying)
    return f"they follow, after {seconds:.1f} s" + (f" and {rows:,} rows" if rows else "")


def _wait(source: str, target: str, capability: str, tables: Sequence[str], tell: Tell) -> FollowState:
    began = time.monotonic()
    held_since: float | None = None
    told: dict[str, Progress] = {}
    while True:
        state = follow_state(source, target, capability, tables)
        for progress in state.copying:
            if told.get(progress.table) != progress:
                tell(progress)
                told[progress.table] = progress
        if state.follows and state.lives:
            return state
        now = time.monotonic()
        if state.unknown or state.held:
            held_since = held_since or now
            if now - held_since > HELD_SECONDS:
                raise FollowHeld(f"{state.unknown or state.held} The order stands, and goes on by itself.")
        else:
            held_since = None
            if not state.lives and now - began > WITHIN_SECONDS:
                raise FollowFailed(
                    "The follower doesn't speak; see `strangler ps`, which lists it, or run `python -m "
                    "strangler.movement.follower`. The order stands, and changes gather at the owner."
                )
        time.sleep(POLL_SECONDS)


def verify_rows(source_url: str, target_url: str, capability: str, tables: Sequence[str]) -> str:
    """Compare every row while both sides are written, and record it; FollowHeld names a row that differs."""
    found = verify(source_url, target_url, tables)
    rounds.record(target_url, capability, found)
    if not found.equal:
        first = f" {found.differences[0]}." if found.differences else ""
        raise FollowHeld(
            f"{found.reason}{first} `strangler verify {capability} --repair` says what would be sent again."
        )
    return found.reason


def stop_following(source_url: str, target_url: str, capability: str, tables: Sequence[str]) -> str:
    """Follow no more, and take capture away from the owner; rows that were followed stay as they are."""
    try:
        with connection(target_url, "follower") as follower:
            gone = orders.withdraw(follower, capability, tables)
            capture.remove(source_url, gone, follower=orders.follower_name(follower))
            orders.forget(follower, gone)
            owed = _put_foreign_keys_back(follower)
    except psycopg.Error as error:
        raise FollowFailed(f"Not all of it is done: {sentence(error)} Cancel it again.") from error
    if not gone:
        return "other capabilities need all of its tables, which go on following"
    return (
        f"{', '.join(gone)} follow no more, and nothing is captured of them; the rows stay as they are{owed}"
    )


def _put_foreign_keys_back(follower: Connection) -> str:
    """Those that a copy set aside; what to add to the sentence where the rows of half a copy break one."""
    try:
        with follower.transaction():
            foreign_keys.put_back(follower)
    except CopyFailed:
        return ", and foreign keys stay away from half a copy until it follows again, or is emptied"
    return ""
