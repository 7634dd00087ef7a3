"""Who owns the rows of a capability: what each home's database believes, and what the two beliefs come to.

Ownership moves in one place: the row of the home that takes over, which goes from `offered` to `owner` or
back to `follower` by a compare-and-set. Everything else follows from that row and can be found out from it,
whoever was killed at whatever moment.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from psycopg import sql

from strangler.movement import fence
from strangler.movement.errors import SwitchLost, SwitchRefused
from strangler.movement.tables import Connection

MARK = "strangler: who owns which rows"


class State(enum.StrEnum):
    """What a home is to a capability's rows."""

    OWNER = "owner"  # writes them
    FENCED = "fenced"  # owns them, and has stopped writing: a switch is under way
    OFFERED = "offered"  # follows them, and may become their owner: a switch is under way
    FOLLOWER = "follower"  # follows them; only the applier writes


@dataclass(frozen=True)
class Belief:
    """What one home's database says of a capability.

    `fence` is True where it is up on all tables, False where it is down on all, None where it is neither.
    `late` says that the deadline has passed by this database's clock.
    """

    state: State
    epoch: int
    fence: bool | None
    deadline: datetime.datetime | None = None
    late: bool = False
    tables: tuple[str, ...] = ()

    def __str__(self) -> str:
        up = {True: "up", False: "down", None: "broken"}[self.fence]
        return f"{self.state}, epoch {self.epoch}, fence {up}"


class Verdict(enum.Enum):
    """What two beliefs come to, and so what is to be done."""

    SETTLED = "settled"  # one owner, one follower
    UNDER_WAY = "under way"  # offered, not decided: it may be finished or undone
    DECIDED = "decided"  # committed: only forward
    UNDONE = "undone"  # burnt: the old owner's fence may be lowered
    CONFLICT = "conflict"  # nothing that this protocol leads to


def verdict(one: Belief, other: Belief) -> Verdict:
    """Read aloud: at (the home that had the rows, the home that gets them) this is where a switch stands.

    The order of the arguments doesn't matter.
    """
    by_state = {belief.state: belief for belief in (one, other)}
    same_epoch = one.epoch == other.epoch
    match sorted(by_state):
        case [State.FOLLOWER, State.OWNER]:
            # The owner is behind where an offer was burnt before the owner heard of its epoch.
            ahead = by_state[State.FOLLOWER].epoch >= by_state[State.OWNER].epoch
            return Verdict.SETTLED if ahead else Verdict.CONFLICT
        case [State.OFFERED, State.OWNER]:
            begun = by_state[State.OFFERED].epoch > by_state[State.OWNER].epoch
            return Verdict.UNDER_WAY if begun else Verdict.CONFLICT
        case [State.FENCED, State.OFFERED]:
            return Verdict.UNDER_WAY if same_epoch else Verdict.CONFLICT
        case [State.FENCED, State.OWNER]:
            return Verdict.DECIDED if same_epoch else Verdict.CONFLICT
        case [State.FENCED, State.FOLLOWER]:
            return Verdict.UNDONE if same_epoch else Verdict.CONFLICT
    return Verdict.CONFLICT


def establish(
    connection: Connection,
    name: str,
    tables: Sequence[str],
    state: State,
    *,
    other: str,
    advice: str,
    applier: str,
    epoch: int,
) -> None:
    """Write down that this home is `state` (owner or follower), and put the fence on: up at a follower.

    `epoch` is the last that either home knows of. Where the capability is known already its state and epoch
    stay, and so does what is up. Raises
    SwitchRefused where a name is taken, SwitchHeld where a table's lock isn't granted; nothing was changed.
    """

    with connection.transaction():
        _refuse_taken_schema(connection)
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute((files("strangler.movement") / "ownership.sql").read_text())
        connection.execute(
            """INSERT INTO strangler_ownership.unit (name, tables, state, other, advice, epoch)
               VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO UPDATE
               SET tables = excluded.tables, other = excluded.other, advice = excluded.advice""",
            [name, list(tables), state, other, advice, epoch],
        )
    fence.in_turn(connection, tables, lambda table: fence.install(connection, name, table, applier))
    stand(connection, name)


def stand(connection: Connection, name: str) -> None:
    """Bring the fence to where the state wants it: down at an owner, up everywhere else.

    Each table's transaction holds the state still, so whoever has just changed it isn't overtaken.
    """

    def act(table: str) -> None:
        state = connection.execute(
            "SELECT state FROM strangler_ownership.unit WHERE name = %s FOR SHARE", [name]
        ).fetchone()
        wanted = state != (State.OWNER,)
        if fence.is_up(connection, [table]) is not wanted:  # or there would be a lock to wait for
            (fence.enable if wanted else fence.disable)(connection, table)

    fence.in_turn(connection, _tables(connection, name), act)


def forget(connection: Connection, name: str) -> None:
    """Take the fence off and forget who owns, but for the epoch; nothing to do is no error."""
    if _there(connection) and read(connection, name):
        fence.in_turn(connection, _tables(connection, name), lambda table: fence.remove(connection, table))
        connection.execute(
            """WITH gone AS (DELETE FROM strangler_ownership.unit WHERE name = %s RETURNING name, epoch)
               INSERT INTO strangler_ownership.given_up AS known (name, epoch) SELECT name, epoch FROM gone
               ON CONFLICT (name) DO UPDATE SET epoch = greatest(known.epoch, excluded.epoch)""",
            [name],
        )


def last_epoch(connection: Connection, name: str) -> int:
    """The highest epoch that this home knows of, of this move or of one that was given up."""
    if connection.execute("SELECT to_regclass('strangler_ownership.given_up') IS NULL").fetchone() == (True,):
        return 0
    (epoch,) = connection.execute(
        """SELECT coalesce(max(epoch), 0) FROM (
               SELECT name, epoch FROM strangler_ownership.unit
               UNION ALL SELECT name, epoch FROM strangler_ownership.given_up) AS known WHERE name = %s""",
        [name],
    ).fetchone() or (0,)
    return int(epoch)


def forget_dropped(connection: Connection, name: str) -> None:
    """Forget who owned tables that are gone, and their fence with them; nothing to do is no error."""
    if _there(connection):
        connection.execute("DELETE FROM strangler_ownership.unit WHERE name = %s", [name])


def read(connection: Connection, name: str) -> Belief | None:
    """What this database believes; None where it knows nothing of the capability."""
    if not _there(connection):
        return None
    found = connection.execute(
        """SELECT state, epoch, deadline, coalesce(deadline < clock_timestamp(), false), tables
           FROM strangler_ownership.unit WHERE name = %s""",
        [name],
    ).fetchone()
    if not found:
        return None
    state, epoch, deadline, late, tables = found
    return Belief(State(state), epoch, fence.is_up(connection, tables), deadline, late, tuple(tables))


def owner_of(connection: Connection, tables: Sequence[str]) -> bool:
    """Whether this home owns one of `tables` by a switch, or a fence around them."""
    return _there(connection) and connection.execute(
        """SELECT EXISTS (SELECT FROM strangler_ownership.unit
                          WHERE tables && %s AND state IN ('owner', 'fenced'))""",
        [list(tables)],
    ).fetchone() == (True,)


# ── The moves: each once, by compare-and-set; done again it changes nothing ──────────────────────


def offer(follower: Connection, name: str, epoch: int) -> None:
    """At the home that takes over: `follower` becomes `offered` in the new epoch."""
    if not _move(follower, name, "state = 'follower' AND epoch < %(epoch)s", State.OFFERED, epoch):
        _insist(follower, name, {(State.OFFERED, epoch), (State.OWNER, epoch)})


def raise_fence(owner: Connection, name: str, epoch: int, seconds: float) -> None:
    """At the home that gives away: raise the fence, with the epoch and a deadline `seconds` from now.

    When this returns, every write that was accepted is committed. Raises SwitchHeld while somebody holds a
    table, which leaves those before it fenced until the switch is undone.
    """
    if not _move(owner, name, "state = 'owner' AND epoch < %(epoch)s", State.FENCED, epoch, seconds):
        _insist(owner, name, {(State.FENCED, epoch), (State.FOLLOWER, epoch)})
    stand(owner, name)


def commit(target: Connection, name: str, epoch: int) -> None:
    """The commit point: `offered` becomes `owner`, and in the same transaction its fence is lowered.

    Waits for an applier's transaction under way, and keeps out every later one. A row of each table is
    written, seen in the capture, and rolled back: without capture nobody could ever come back. Raises
    SwitchLost if the epoch was burnt, SwitchRefused if a write isn't captured; nothing has moved then.
    """
    tables = _tables(target, name)

    def act() -> None:
        # The row first, as appliers take it; nobody but them has ever held these tables here.
        target.execute("SELECT FROM strangler_ownership.unit WHERE name = %s FOR UPDATE", [name])
        if not _move(target, name, "state = 'offered' AND epoch = %(epoch)s", State.OWNER, epoch):
            _insist(target, name, {(State.OWNER, epoch)})
            return
        for table in tables:
            fence.disable(target, table)
            _insist_on_capture(target, table)

    fence.at_once(target, tables, act)


def may_commit(target: Connection, name: str, epoch: int) -> bool:
    """Hold the commit back until this transaction ends; False where it has been, SwitchLost if burnt.

    Only the commit: who stops in here must not hold up whoever burns the epoch.
    """
    found = target.execute(
        "SELECT state, epoch FROM strangler_ownership.unit WHERE name = %s FOR KEY SHARE", [name]
    ).fetchone()
    if found == (State.OFFERED, epoch):
        return True
    _insist(target, name, {(State.OWNER, epoch)})
    return False


def burn(target: Connection, name: str, epoch: int) -> bool:
    """At the home that was to take over: `offered` becomes `follower`, and this epoch can't commit any more.

    One that wasn't offered yet can't be any more. Returns False if it has committed: then there is no way but
    forward.
    """
    open_ = "(state = 'offered' AND epoch = %(epoch)s OR state = 'follower' AND epoch < %(epoch)s)"
    if _move(target, name, open_, State.FOLLOWER, epoch):
        return True
    found = read(target, name)
    return found is None or found.state is not State.OWNER


def lower_fence(owner: Connection, name: str, epoch: int) -> None:
    """At the home that keeps its rows after a burnt epoch: `fenced` becomes `owner`, the fence is lowered.

    One that wasn't raised yet can't be any more: an owner takes over the burnt epoch too.
    """
    if not _move(owner, name, "state IN ('fenced', 'owner') AND epoch <= %(epoch)s", State.OWNER, epoch):
        _insist(owner, name, {(State.OWNER, epoch)})
    stand(owner, name)


def give_away(owner: Connection, name: str, epoch: int) -> None:
    """At the home whose rows have moved: `fenced` becomes `follower`; the fence stays up."""
    if not _move(owner, name, "state = 'fenced' AND epoch = %(epoch)s", State.FOLLOWER, epoch):
        _insist(owner, name, {(State.FOLLOWER, epoch)})


# ── What an applier asks in each of its transactions ─────────────────────────────────────────────


def epochs(follower: Connection, tables: Sequence[str]) -> dict[str, int]:
    """The epoch of each capability that has one of `tables`, as a stream finds it when it begins.

    Raises SwitchLost if this home owns one of them: then nothing may be applied here.
    """
    return _held(follower, tables, "")


def hold(follower: Connection, tables: Sequence[str], began: dict[str, int]) -> None:
    """Keep the commit point back for this transaction; SwitchLost unless this home follows as it did.

    An applier that was stopped over a switch and goes on afterwards ends here, with a window that is no
    longer true. One that is stopped in here holds up the commit, and nobody's way back.
    """
    _insist_on_epochs(_held(follower, tables, "FOR KEY SHARE"), began)


def check(follower: Connection, tables: Sequence[str], began: dict[str, int]) -> None:
    """`hold` without the lock: for a stream that has nothing to apply."""
    _insist_on_epochs(_held(follower, tables, ""), began)


def _insist_on_epochs(now: dict[str, int], began: dict[str, int]) -> None:
    for name, epoch in now.items():
        # An offer is a step into the next epoch, which a stream under way may make too.
        if began.get(name) not in (epoch, epoch - 1):
            raise SwitchLost(
                f"{name} is in epoch {epoch}, and this stream began in epoch {began.get(name)}. Its window "
                "was not applied; the next stream begins from where the follower is."
            )


def _held(follower: Connection, tables: Sequence[str], lock: str) -> dict[str, int]:
    if not _there(follower):
        return {}
    found = follower.execute(
        sql.SQL(
            "SELECT name, state, epoch FROM strangler_ownership.unit WHERE tables && %s ORDER BY name {}"
        ).format(sql.SQL(lock)),
        [list(tables)],
    ).fetchall()
    for name, state, _ in found:
        if state in (State.OWNER, State.FENCED):
            raise SwitchLost(
                f"This home owns the rows of {name} now, so nothing is applied to them any more."
            )
    return {name: epoch for name, _, epoch in found}


# ── Pieces ───────────────────────────────────────────────────────────────────────────────────────


def _move(
    connection: Connection, name: str, where: str, state: State, epoch: int, seconds: float | None = None
) -> bool:
    """The compare-and-set: whether the row was as `where` says, and is now `state` in `epoch`."""
    statement = f"""UPDATE strangler_ownership.unit
        SET state = %(state)s, epoch = %(epoch)s, changed_at = clock_timestamp(),
            deadline = clock_timestamp() + %(seconds)s * interval '1 second'
        WHERE name = %(name)s AND {where}"""  # nosec B608 # the conditions stand above
    values = {"state": state, "epoch": epoch, "seconds": seconds, "name": name}
    return connection.execute(statement, values).rowcount == 1


def _insist(connection: Connection, name: str, wanted: set[tuple[State, int]]) -> None:
    found = read(connection, name)
    if found is None or (found.state, found.epoch) not in wanted:
        others = " or ".join(f"{state} in epoch {epoch}" for state, epoch in sorted(wanted))
        raise SwitchLost(
            f"{name} is {found or 'unknown'} here, not {others}: somebody else has decided. Nothing was "
            "changed; `strangler status` says who owns it."
        )


def _insist_on_capture(target: Connection, name: str) -> None:
    """Write a row without changing it, look for it among the captured changes, and take it back."""
    table = sql.Identifier(*name.split("."))
    column = target.execute(
        """SELECT attname FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
             AND attidentity <> 'a' ORDER BY attnum LIMIT 1""",
        [table.as_string(target)],
    ).fetchone()
    if column is None:
        return
    target.execute("SAVEPOINT proof")
    written = target.execute(
        sql.SQL("UPDATE {t} SET {c} = {c} WHERE ctid = (SELECT ctid FROM {t} LIMIT 1)").format(
            t=table, c=sql.Identifier(column[0])
        )
    ).rowcount
    (taken,) = target.execute(
        "SELECT count(*) FROM strangler_capture.change WHERE tx = pg_current_xact_id() AND table_name = %s",
        [name],
    ).fetchone() or (0,)
    target.execute("ROLLBACK TO SAVEPOINT proof")
    if written != taken:
        raise SwitchRefused(
            f"A write of {name} isn't captured at the home that takes over, so there would be no way back. "
            "Nothing has moved; look at the triggers named 00_strangler_row."
        )


def _tables(connection: Connection, name: str) -> list[str]:
    found = connection.execute(
        "SELECT tables FROM strangler_ownership.unit WHERE name = %s", [name]
    ).fetchone()
    if not found:
        raise SwitchRefused(
            f"{name} doesn't replicate here, so it can't be switched. Nothing was changed; begin with "
            f"`strangler apply {name} replicate`."
        )
    return list(found[0])


def _there(connection: Connection) -> bool:
    return connection.execute("SELECT to_regclass('strangler_ownership.unit') IS NOT NULL").fetchone() == (
        True,
    )


def _refuse_taken_schema(connection: Connection) -> None:
    found = connection.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'strangler_ownership'"
    ).fetchone()
    if found and found[0] != MARK:
        raise SwitchRefused(
            "The database has a schema strangler_ownership that isn't ours. Nothing was changed; rename it, "
            "or drop it."
        )
