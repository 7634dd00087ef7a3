"""Whether the candidate has what the control had, asked of both databases before either home is asked.

Before, so that the answer to it doesn't hang on what the homes answer: leaving out only those requests that
came to differ would flatter the candidate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

import psycopg

from strangler.compare.errors import CouldNotAsk
from strangler.config import Capability, Config
from strangler.movement.windows import UNSEEN
from strangler.run.system import System

PATIENCE = 1.0  # seconds that the candidate may need for what the control has
POLL_SECONDS = 0.02
CONNECT_SECONDS = 3


class Freshness(Protocol):
    """Tells the comparator whether a capability's rows at the candidate are up to date."""

    async def is_behind(self) -> bool:
        """Whether the candidate still lacks rows that the control had when this was called.

        Waits a moment for them. Raises CouldNotAsk where a database doesn't answer: not known is no yes.
        """
        ...

    async def written(self) -> str | None:
        """How far the owner has been written; None while somebody writes.

        The same twice: nothing was written in between. Raises CouldNotAsk as `is_behind` does.
        """
        ...

    async def close(self) -> None: ...


class Unfollowed:
    """A capability whose rows nobody follows: how old they are can't be told, and nothing is left out."""

    async def is_behind(self) -> bool:
        return False

    async def written(self) -> str | None:
        return ""

    async def close(self) -> None:
        pass


class Followed:
    """A capability's rows at both databases: the owner's change stream, and the follower's watermark."""

    def __init__(self, capability: Capability, owner: str, follower: str) -> None:
        self._tables = list(capability.tables)
        self._owner = _Database(capability.owner, owner)
        self._follower = _Database(capability.home, follower)
        self._late = False  # it was waited for in vain: nobody waits again until it has caught up

    async def is_behind(self) -> bool:
        patience = 0.0 if self._late else PATIENCE
        deadline, upto = time.monotonic() + patience, None
        while await self._owner.has("strangler_capture.change"):
            # What is applied after this question is in the candidate's answer all the more.
            applied = await self._applied()
            now, captured, lacks = await self._beyond(applied, upto)
            upto = upto or now  # what is written from here on is waited for by nobody
            behind = captured and (applied is None or lacks)
            if not behind or time.monotonic() >= deadline:
                self._late = behind
                return behind
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def written(self) -> str | None:
        if not await self._owner.has("strangler_capture.change"):
            return ""
        # In this order: whoever takes a number after the first question moves it, and whoever had one before
        # and hasn't committed by the second still holds the lock of an insert.
        numbers = await self._owner.row("SELECT last_value, is_called FROM strangler_capture.change_id_seq")
        (under_way,) = await self._owner.row(
            """SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS d ON d.oid = database
                              WHERE d.datname = current_database() AND mode = 'RowExclusiveLock'
                              AND relation = 'strangler_capture.change'::regclass)"""
        )
        return None if under_way else str(numbers)

    async def close(self) -> None:
        for database in (self._owner, self._follower):
            await database.close()

    async def _applied(self) -> str | None:
        """The owner's snapshot that the follower has reached with all tables; None without one."""
        if not await self._follower.has("strangler_movement.followed"):
            return None
        found = await self._follower.row(
            """SELECT snapshot::text FROM strangler_movement.watermark
               WHERE (SELECT count(*) FROM strangler_movement.followed
                      WHERE table_name = ANY(%s) AND state = 'following') = %s""",
            [self._tables, len(self._tables)],
        )
        return found[0] if found else None

    async def _beyond(self, applied: str | None, upto: str | None) -> tuple[str, bool, bool]:
        """The owner's present snapshot; whether changes of these tables are captured; and whether it had some
        by `upto` (or now) that aren't in `applied`."""
        found: tuple[str, bool, bool] = await self._owner.row(
            f"""SELECT pg_current_snapshot()::text,
                       EXISTS (SELECT FROM strangler_capture.captured WHERE table_name = ANY(%(tables)s)),
                       EXISTS (SELECT FROM strangler_capture.change AS c
                               WHERE c.table_name = ANY(%(tables)s) AND {UNSEEN.format(since="%(applied)s")}
                                 AND (%(upto)s::text IS NULL
                                      OR pg_visible_in_snapshot(c.tx, %(upto)s::pg_snapshot)))""",  # nosec B608 # ours
            {"tables": self._tables, "applied": applied, "upto": upto},
        )
        return found


class _Database:
    """One connection, opened when it is needed and given up when it fails."""

    def __init__(self, home: str, url: str) -> None:
        self._home, self._url = home, url
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()
        self._known: set[str] = set()

    async def has(self, table: str) -> bool:
        """Whether there is such a table; asked until there is."""
        if table not in self._known:
            (there,) = await self.row("SELECT to_regclass(%s) IS NOT NULL", [table])
            self._known |= {table} if there else set()
        return table in self._known

    async def row(self, query: str, values: Any = None) -> Any:
        """The first row of a query's answer; None without one."""
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await psycopg.AsyncConnection.connect(
                        self._url, autocommit=True, connect_timeout=CONNECT_SECONDS
                    )
                cursor = await self._connection.execute(query.encode(), values)
                return await cursor.fetchone()
            except psycopg.Error as error:
                await self._close()
                said = " ".join(str(error).split()) or type(error).__name__
                raise CouldNotAsk(self._home, f"its database said: {said}") from None

    async def close(self) -> None:
        async with self._turn:
            await self._close()

    async def _close(self) -> None:
        self._known.clear()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def of(config: Config, system: System, capability: Capability) -> Freshness:
    """How fresh a capability's rows are; Unfollowed where it has no tables, or a home names no database."""
    names: Sequence[str | None] = [
        config.homes[home].database for home in (capability.owner, capability.home)
    ]
    urls = [system.databases.get(name) if name else None for name in names]
    if not capability.tables or urls[0] is None or urls[1] is None:
        return Unfollowed()
    return Followed(capability, urls[0], urls[1])
