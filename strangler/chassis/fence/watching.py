"""Every connection is watched: a transaction that met a fence can't commit, whoever caught the error in it.

A view that catches the error in a savepoint, and commits the rest, would have half of its write accepted. And
`SELECT ... FOR UPDATE` meets no trigger: on rows that have moved it would lock what nobody looks at any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from strangler.chassis.fence import footprint
from strangler.chassis.writing import may_write, only_locks

MOVING, MOVED = "STR01", "STR02"  # what a raised fence says: the rows are moving just now, or have moved
_NOT_OWNED = """
SELECT u.name, u.other, u.state, t FROM strangler_ownership.unit AS u, unnest(u.tables) AS t
WHERE u.state <> 'owner'
"""


class Fenced(DatabaseError):
    """A fence refused a statement of this transaction, so none of it is committed."""


def is_fenced(error: BaseException | None) -> bool:
    """Whether a fence refused something: this error, or what it was raised from."""
    while error is not None:
        if isinstance(error, Fenced) or getattr(error, "sqlstate", None) in (MOVING, MOVED):
            return True
        error = error.__cause__
    return False


def begin() -> None:
    """Watch every connection from now on, those that are open too."""
    connection_created.connect(_watch, dispatch_uid="strangler.chassis.fence")
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _watch(connection=connection)


def _watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor != "postgresql":
        return
    if isinstance(commit := connection.__dict__.get("commit"), _Commit):
        commit.watcher.start_anew()
        return
    watcher = _Watcher(connection)
    connection.execute_wrappers.append(watcher)
    connection.commit = _Commit(watcher, connection.commit)  # type: ignore[method-assign]
    connection.rollback = _Rollback(watcher, connection.rollback)  # type: ignore[method-assign]


class _Watcher:
    """Sees every statement of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what was known of a connection that is gone; the database may have been restored."""
        self.refused = ""  # what a fence said to the transaction under way
        self._knows_owners = False  # whether ownership of rows is kept in this database

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if only_locks(sql):
            self._refuse_lock(sql)
        try:
            answer = execute(sql, params, many, context)
        except DatabaseError as error:
            if is_fenced(error):
                self.note(str(error), moving=getattr(error.__cause__, "sqlstate", None) == MOVING)
            raise
        if may_write(sql):
            footprint.wrote(self.connection)
        return answer

    def note(self, said: str, *, moving: bool) -> None:
        """A fence refused something: remember it until this transaction ends."""
        if self.connection.in_atomic_block:
            self.refused = said
        footprint.met_fence(said, moving=moving)

    def _refuse_lock(self, sql: str) -> None:
        for name, other, state, table in self._not_owned():
            if f'"{table}"' in sql or re.search(rf"\b{re.escape(table)}\b", sql):
                said = f"the rows of {name} belong to {other}: {table} was not locked"
                self.note(said, moving=state != "follower")
                raise Fenced(said)

    def _not_owned(self) -> list[tuple[str, str, str, str]]:
        with self.connection.connection.cursor() as cursor:  # past the wrappers: it is no statement of theirs
            if not self._knows_owners:
                cursor.execute("SELECT to_regclass('strangler_ownership.unit') IS NOT NULL")
                self._knows_owners = cursor.fetchone() == (True,)
            return cursor.execute(_NOT_OWNED).fetchall() if self._knows_owners else []


class _Commit:
    """Commits, unless a fence has refused a part."""

    def __init__(self, watcher: _Watcher, commit: Callable[[], None]) -> None:
        self.watcher, self._commit = watcher, commit

    def __call__(self) -> None:
        said, self.watcher.refused = self.watcher.refused, ""
        if said:
            raise Fenced(f"{said}. A part of this transaction was refused, so none of it is committed.")
        self._commit()


class _Rollback:
    """Rolls back, and forgets what was refused in what is gone."""

    def __init__(self, watcher: _Watcher, rollback: Callable[[], None]) -> None:
        self.watcher, self._rollback = watcher, rollback

    def __call__(self) -> None:
        self.watcher.refused = ""
        self._rollback()
