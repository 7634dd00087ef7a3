"""The control plane's memory: where every capability stands, who moved it, and what came of each effect.

It lies in a database of its own (schema `strangler_control`), apart from what is being migrated.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Json

from strangler.control.errors import ControlDatabaseAway, OperatorBusy
from strangler.control.phases import COMPLETE, MONOLITH, REPLICATE, Direction, Phase, direction, verb
from strangler.errors import StranglerError
from strangler.run.system import System

DATABASE = "control"
_OPERATOR, _ROUTING = 0x57A0, 0x57A1  # classes of our advisory locks
GUARD = "guard"  # as whom the guard moves things
_GUARD_LIVES = 10.0  # seconds since its last look
_GRACE = 0.5  # seconds that a lock is asked for
_PATIENCE = "10s"  # how long a statement waits for a lock


@dataclass(frozen=True)
class Standing:
    """Where a capability stands. One that has never moved has revision 0, and nobody and no time to name."""

    capability: str
    phase: Phase = MONOLITH
    revision: int = 0
    since: datetime.datetime | None = None
    by: str | None = None


@dataclass(frozen=True)
class EffectRecord:
    """What is known of one effect: its state is waiting, running, done or failed."""

    kind: str
    arguments: Mapping[str, Any]
    state: str
    started: datetime.datetime | None
    finished: datetime.datetime | None
    detail: str


@dataclass(frozen=True)
class Transition:
    """One move of one capability, forward or back: its state is running, done, failed or undone.

    `revision` is the one that the capability has once this is done. A transition that is running while nobody
    holds the capability's lock was cut short. `because` is the evidence on which the guard began it.
    """

    id: int
    capability: str
    origin: Phase
    target: Phase
    revision: int
    by: str
    state: str
    started: datetime.datetime
    finished: datetime.datetime | None
    detail: str
    because: str
    effects: tuple[EffectRecord, ...]

    @property
    def seconds(self) -> float | None:
        """How long it took, or None while it is not finished."""
        return (self.finished - self.started).total_seconds() if self.finished else None

    @property
    def again(self) -> str:
        """The verb that does it again, or finishes it, with its arguments."""
        cancels = any(effect.kind == "stop_following" for effect in self.effects)
        return verb(self.capability, self.origin, self.target, cancels=cancels)

    @property
    def or_undo(self) -> str:
        """The end of a sentence on how to finish it: the verb that undoes it, "" where none does."""
        if direction(self.origin, self.target) is not Direction.FORWARD or self.target == COMPLETE:
            return ""
        undo = "cancel" if self.target == REPLICATE else "reverse"
        return f", `strangler {undo} {self.capability}` undoes it"


@dataclass(frozen=True)
class Operator:
    """Who holds the lock of a capability, and since when."""

    name: str
    since: datetime.datetime


@dataclass(frozen=True)
class Looked:
    """When the guard last looked at a capability, at which revision, and the sentence that it came to.

    `ago` is how many seconds have passed since, by the database's clock.
    """

    at: datetime.datetime
    ago: float
    revision: int
    sentence: str

    @property
    def lives(self) -> bool:
        """Whether it looked a moment ago."""
        return self.ago <= _GUARD_LIVES


class Store(AbstractContextManager["Store"]):
    """One session with the control database. Every method raises ControlDatabaseAway when it has gone."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def close(self) -> None:
        """End the session; its locks end with it."""
        self._connection.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── Where capabilities stand ─────────────────────────────────────────────────────────────────

    def phases(self) -> dict[str, Phase]:
        """The recorded phase of every capability that has ever moved; the others are at monolith."""
        rows = self._rows("SELECT name, phase, percent FROM strangler_control.capability")
        return {row["name"]: Phase(row["phase"], row["percent"]) for row in rows}

    def standing(self, capability: str) -> Standing:
        """Where one capability stands."""
        rows = self._rows("SELECT * FROM strangler_control.capability WHERE name = %s", capability)
        if not rows:
            return Standing(capability)
        row = rows[0]
        phase = Phase(row["phase"], row["percent"])
        return Standing(capability, phase, row["revision"], row["since"], row["by"])

    def record(self, capability: str, phase: Phase, revision: int, by: str) -> None:
        """Make `phase` the recorded one, at `revision`; recording the same twice changes nothing.

        Raises StranglerError if the capability is at another revision than the one before.
        """
        with self._transaction():
            standing = self.standing(capability)
            if (standing.phase, standing.revision) == (phase, revision):
                return
            if standing.revision != revision - 1:
                raise StranglerError(
                    f"{capability} is at revision {standing.revision}, so {phase} can't become revision "
                    f"{revision}. The record stayed as it was: {standing.phase}."
                )
            self._rows(
                """INSERT INTO strangler_control.capability (name, phase, percent, revision, since, by)
                   VALUES (%s, %s, %s, %s, clock_timestamp(), %s)
                   ON CONFLICT (name) DO UPDATE SET phase = excluded.phase, percent = excluded.percent,
                       revision = excluded.revision, since = excluded.since, by = excluded.by""",
                *(capability, phase.name, phase.percent, revision, by),
            )

    # ── What was done ────────────────────────────────────────────────────────────────────────────

    def begin(
        self,
        origin: Standing,
        target: Phase,
        by: str,
        effects: Sequence[tuple[str, Mapping[str, Any]]],
        undoes: Transition | None = None,
        because: str = "",
    ) -> Transition:
        """Write down what is about to be done, as (kind, arguments) in order, before any of it is.

        An unfinished transition that this one `undoes` ends in the same transaction.
        """
        with self._transaction():
            if undoes:
                self.finish(undoes.id, "undone", f"cut short, and taken back to {target} by {by}")
            (row,) = self._rows(
                """INSERT INTO strangler_control.transition
                       (capability, origin, target, revision, by, because)
                   VALUES (%s, %s, %s, %s, %s, %s) RETURNING id""",
                *(origin.capability, str(origin.phase), str(target), origin.revision + 1, by, because),
            )
            for position, (kind, arguments) in enumerate(effects):
                self._rows(
                    """INSERT INTO strangler_control.effect (transition, position, kind, arguments)
                       VALUES (%s, %s, %s, %s)""",
                    *(row["id"], position, kind, Json(dict(arguments))),
                )
        return self.transition(row["id"])

    def mark_effect(self, transition: int, position: int, state: str, detail: str = "") -> None:
        """Record that an effect is `running`, `done` or `failed`."""
        self._rows(
            """UPDATE strangler_control.effect SET state = %(state)s, detail = %(detail)s,
                   started = CASE WHEN %(state)s = 'running' THEN clock_timestamp() ELSE started END,
                   finished = CASE WHEN %(state)s = 'running' THEN NULL ELSE clock_timestamp() END
               WHERE transition = %(transition)s AND position = %(position)s""",
            state=state, detail=detail, transition=transition, position=position,
        )  # fmt: skip

    def finish(self, transition: int, state: str, detail: str = "") -> None:
        """End a transition as `done`, `failed` or `undone`; one that has ended stays as it is."""
        self._rows(
            """UPDATE strangler_control.transition SET state = %s, detail = %s, finished = clock_timestamp()
               WHERE id = %s AND state = 'running'""",
            *(state, detail, transition),
        )

    def transition(self, number: int) -> Transition:
        """One transition with its effects, by its number."""
        return self._transitions("WHERE id = %s", number)[0]

    def unfinished(self, capability: str) -> Transition | None:
        """The transition that was begun and has no end, if there is one."""
        found = self._transitions("WHERE capability = %s AND state = 'running'", capability)
        return found[0] if found else None

    def history(self, capability: str | None = None, limit: int = 20) -> list[Transition]:
        """The latest transitions, the latest first."""
        return self._transitions(
            "WHERE capability = coalesce(%s, capability) ORDER BY id DESC LIMIT %s", capability, limit
        )

    # ── What the guard saw ───────────────────────────────────────────────────────────────────────

    def looked(self, capability: str) -> Looked | None:
        """The guard's last look, or None where it has never looked."""
        rows = self._rows(
            "SELECT looked, revision, sentence FROM strangler_control.guard WHERE capability = %s", capability
        )
        if not rows:
            return None
        at, revision, sentence = rows[0].values()
        return Looked(at, self.seconds_since(at), revision, sentence)

    def seconds_since(self, moment: datetime.datetime) -> float:
        """How long ago that was, by the clock that all of these moments are taken from."""
        return float(
            self._rows("SELECT extract(epoch FROM clock_timestamp() - %s)::float8 AS ago", moment)[0]["ago"]
        )

    def saw(self, capability: str, revision: int, sentence: str) -> None:
        """Write down that the guard has looked now, and what it came to."""
        self._rows(
            """INSERT INTO strangler_control.guard VALUES (%s, clock_timestamp(), %s, %s)
               ON CONFLICT (capability) DO UPDATE SET looked = excluded.looked,
                   revision = excluded.revision, sentence = excluded.sentence""",
            *(capability, revision, sentence),
        )

    def _transitions(self, where: str, *values: Any) -> list[Transition]:
        rows = self._rows(f"SELECT * FROM strangler_control.transition {where}", *values)  # nosec B608 # ours
        numbers = [row["id"] for row in rows]
        effects: dict[int, list[EffectRecord]] = {number: [] for number in numbers}
        for row in self._rows(
            "SELECT * FROM strangler_control.effect WHERE transition = ANY(%s) ORDER BY position", numbers
        ):
            effects[row.pop("transition")].append(EffectRecord(**{k: row[k] for k in row if k != "position"}))
        return [
            Transition(
                **row
                | {"origin": Phase.parse(row["origin"]), "target": Phase.parse(row["target"])}
                | {"effects": tuple(effects[row["id"]])}
            )
            for row in rows
        ]

    # ── Who may act ──────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def operating(self, capability: str, by: str) -> Iterator[None]:
        """Hold the capability's lock as `by`; OperatorBusy names who has it, and since when."""
        deadline = time.monotonic() + _GRACE
        while not self._lock("SELECT pg_try_advisory_lock(%s, hashtext(%s)) AS held", capability):
            # The session of an operator who was just killed takes a moment to end.
            if time.monotonic() > deadline:
                raise _busy(capability, self.operator(capability))
            time.sleep(_GRACE / 10)
        try:
            self._rows(
                """INSERT INTO strangler_control.operator (capability, name, since, pid)
                   VALUES (%s, %s, clock_timestamp(), pg_backend_pid())
                   ON CONFLICT (capability) DO UPDATE
                   SET name = excluded.name, since = excluded.since, pid = excluded.pid""",
                *(capability, by),
            )
            yield
        finally:
            self._unlock("SELECT pg_advisory_unlock(%s, hashtext(%s))", _OPERATOR, capability)

    def check_free(self, capability: str) -> None:
        """Raise OperatorBusy while somebody holds the capability's lock."""
        if holder := self.operator(capability):
            raise _busy(capability, holder)

    def operator(self, capability: str) -> Operator | None:
        """Who holds the capability's lock now. A row without its lock was left by an operator who is gone."""
        rows = self._rows(
            """SELECT name, since FROM strangler_control.operator JOIN pg_locks USING (pid)
               WHERE capability = %s AND locktype = 'advisory' AND granted AND classid = %s
                 AND objid = (hashtext(capability)::bigint & 4294967295)::oid
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            *(capability, _OPERATOR),
        )
        return Operator(rows[0]["name"], rows[0]["since"]) if rows else None

    @contextmanager
    def routing(self) -> Iterator[None]:
        """Keep others from publishing routes until this has been recorded too.

        A snapshot holds the routes of every capability. Without this, an operator of another capability could
        publish ours as it stood before, between our publishing and our recording it.
        """
        self._rows("SELECT pg_advisory_lock(%s, 0)", _ROUTING)
        try:
            yield
        finally:
            self._unlock("SELECT pg_advisory_unlock(%s, 0)", _ROUTING)

    def _lock(self, statement: str, capability: str) -> bool:
        return bool(self._rows(statement, _OPERATOR, capability)[0]["held"])

    def _unlock(self, statement: str, *values: Any) -> None:
        # A session that is gone has no locks; the error that ended it is the one worth seeing.
        if not self._connection.broken and not self._connection.closed:
            self._rows(statement, *values)

    # ── Asking ───────────────────────────────────────────────────────────────────────────────────

    def _rows(self, statement: str, *values: Any, **named: Any) -> list[dict[str, Any]]:
        with self._in_a_sentence():
            cursor = self._connection.execute(sql.SQL(statement), named or values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._in_a_sentence(), self._connection.transaction():
            yield

    @contextmanager
    def _in_a_sentence(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.LockNotAvailable as error:
            raise StranglerError(
                f"Somebody else has been publishing routes for more than {_PATIENCE}. Nothing was changed; "
                "look at `strangler status`, and try again."
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise ControlDatabaseAway(
                f"The control database went away: {_first_line(error)}. The gateway goes on routing as it "
                "does; once the database is back, `strangler status` says what was left unfinished."
            ) from error


def connect(system: System) -> Store:
    """Open the control database of a running system, and make its schema where it isn't there yet.

    Raises ControlDatabaseAway if it can't be reached or refuses.
    """
    url = system.databases[DATABASE]
    try:
        connection = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, connect_timeout=5,
            options=f"-c lock_timeout={_PATIENCE} -c timezone=UTC",
        )  # fmt: skip
        with connection.transaction():
            # Two that connect at once would both find the schema missing.
            connection.execute("SELECT pg_advisory_xact_lock(%s, 1)", [_ROUTING])
            connection.execute(files(__package__).joinpath("schema.sql").read_bytes())
    except psycopg.Error as error:
        raise ControlDatabaseAway(
            f"The control database {_place(url)} can't be used: {_first_line(error)}. Nothing was changed, "
            "and the gateway goes on routing as it does. Start that database, or correct its address "
            f"([databases.{DATABASE}] in strangler.toml)."
        ) from error
    return Store(connection)


def _busy(capability: str, holder: Operator | None) -> OperatorBusy:
    # Between another operator's taking the lock and writing the row, there is no name yet.
    who = f"{holder.name}, since {holder.since:%H:%M:%S} UTC" if holder else "another operator"
    return OperatorBusy(
        f"{capability} is being moved right now by {who}. Nothing was changed; "
        "`strangler status` shows when that is done."
    )


def _place(url: str) -> str:
    """Where a database is, without its password."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("connection failed: ").rstrip(".")
