"""Who owns a capability's rows, read from both homes, and what is in the way of a switch: for the gates.

Read afresh at every look, and cheap: nothing here reads the rows themselves.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from strangler.movement import fence, foreign_keys, ownership, recorder
from strangler.movement.errors import MovementError
from strangler.movement.ownership import Belief, State, Verdict, verdict
from strangler.movement.switch import Side
from strangler.movement.tables import Connection, connection, sentence


@dataclass(frozen=True)
class Ownership:
    """What both homes say, and what stands around it.

    `owner` is a home's name, "" where that isn't settled; `epoch` is the latest of both;
    `foreign_keys`, `crossings` and `holders` are sentences. `recorded_for` is how many seconds the statements
    of others have been recorded at the owner, None where they aren't. `unknown`: why nothing was learned.
    """

    owner: str = ""
    epoch: int = 0
    settled: bool = False
    sentence: str = ""
    foreign_keys: tuple[str, ...] = ()
    crossings: tuple[str, ...] = ()
    recorded_for: float | None = None
    holders: tuple[str, ...] = ()
    unknown: str | None = None


def read(name: str, tables: Sequence[str], first: Side, second: Side, quiet: float) -> Ownership:
    """How it stands between the first owner and the other home; `quiet` in seconds. Never raises."""
    try:
        with connection(first.url, first.home) as here, connection(second.url, second.home) as there:
            beliefs = ownership.read(here, name), ownership.read(there, name)
            owns_there = beliefs[1] is not None and beliefs[1].state is State.OWNER
            who = _who(name, first, second, *beliefs)
            return _around(there if owns_there else here, tables, quiet, who)
    except MovementError as refusal:
        return Ownership(unknown=str(refusal))
    except psycopg.Error as error:
        return Ownership(unknown=f"Who owns the rows can't be read: {sentence(error)}")


def owns(url: str, tables: Sequence[str]) -> bool:
    """Whether the home with this database owns `tables`; a database that doesn't answer owns nothing."""
    try:
        with connection(url, "home") as home:
            return ownership.owner_of(home, tables)
    except MovementError:
        return False


def _who(name: str, first: Side, second: Side, here: Belief | None, there: Belief | None) -> Ownership:
    if here is None and there is None:
        return Ownership(first.home, 0, True, f"{first.home} owns the rows, as it always has.")
    said = f"{first.home}: {here or 'knows nothing of it'}; {second.home}: {there or 'knows nothing of it'}"
    if here is None or there is None:
        return Ownership(
            sentence=f"Only one home knows who owns the rows ({said}). `strangler cancel {name}` clears it."
        )
    epoch = max(here.epoch, there.epoch)
    by_state = {here.state: first.home, there.state: second.home}
    match verdict(here, there):
        case Verdict.SETTLED:
            owner, follower = by_state[State.OWNER], by_state[State.FOLLOWER]
            wrong = [side.home for side, belief in ((first, here), (second, there)) if not _stands(belief)]
            if wrong:
                return Ownership(
                    epoch=epoch,
                    sentence=f"The fence at {' and '.join(wrong)} isn't where it should be ({said}). "
                    "The next `strangler apply` or `reverse` puts it there.",
                )
            return Ownership(
                owner, epoch, True, f"{owner} owns the rows in epoch {epoch}, {follower} follows."
            )
        case Verdict.CONFLICT:
            return Ownership(
                epoch=epoch,
                sentence=f"THE HOMES CONTRADICT EACH OTHER on who owns the rows ({said}). Stop the writers, "
                "and compare both databases; was one restored from a backup?",
            )
        case found:
            return Ownership(
                by_state.get(State.OWNER, ""), epoch,
                sentence=f"A switch is {found.value} ({said}). The next `strangler apply {name}` or "
                "`reverse` finishes or undoes it; so does the follower, at the deadline.",
            )  # fmt: skip


def _stands(belief: Belief) -> bool:
    return belief.fence is (belief.state is not State.OWNER)


def _around(owner: Connection, tables: Sequence[str], quiet: float, found: Ownership) -> Ownership:
    noted = recorder.crossings(owner, tables, datetime.timedelta(seconds=quiet))
    (now,) = owner.execute("SELECT clock_timestamp()").fetchone() or (None,)
    return Ownership(
        **{
            **vars(found),
            "foreign_keys": foreign_keys.crossing(owner, tables),
            "crossings": tuple(map(str, noted.crossings)),
            "recorded_for": (now - noted.since).total_seconds() if noted.since and now else None,
            "holders": tuple(map(str, fence.holders(owner, tables))),
        }
    )
