"""Where spans are kept: one SQLite file in the state directory, which holds the latest and no more.

The receiver alone writes; anybody reads, whether it runs or not.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from strangler.run.system import STATE_DIRECTORY
from strangler.telemetry.spans import Happening, Span
from strangler.telemetry.waterfall import asked

FILE_NAME = "traces.sqlite3"

_TABLES = """
CREATE TABLE IF NOT EXISTS span (
    place INTEGER PRIMARY KEY,          -- in the order of arrival: the lowest go first
    trace TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL,
    process TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, failed INTEGER NOT NULL,
    attributes TEXT NOT NULL, events TEXT NOT NULL
);
DROP INDEX IF EXISTS span_trace;
DELETE FROM span WHERE place NOT IN (SELECT max(place) FROM span GROUP BY trace, id);
CREATE UNIQUE INDEX IF NOT EXISTS span_once ON span (trace, id);
CREATE TABLE IF NOT EXISTS name (        -- other ids that lead to a trace
    id TEXT NOT NULL, trace TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (id, trace)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS name_place ON name (place);
"""
_COLUMNS = "trace, id, parent, process, name, kind, start, end, failed, attributes, events"
_KEEP = f"INSERT OR REPLACE INTO span ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # nosec B608
_LISTED = """
WITH recent AS (
    SELECT trace, min(start) AS start, max(end) AS end, count(*) AS spans, sum(failed) AS failed,
           count(DISTINCT process) AS processes
    FROM span WHERE trace IN (SELECT trace FROM span ORDER BY place DESC LIMIT 20000) GROUP BY trace
)
SELECT r.trace, r.start, r.end - r.start, r.spans, r.processes, r.failed
FROM recent AS r ORDER BY {order} DESC LIMIT ?
"""  # nosec B608 # the order is one of two words of ours


@dataclass(frozen=True)
class Listed:
    """One trace in a list, named for what its client asked; `start` in ns since 1970, `duration` in ns."""

    trace: str
    start: int
    duration: int
    spans: int
    processes: int
    failed: int
    name: str


class Store:
    """The kept spans of one project."""

    def __init__(self, root: Path, *, writes: bool = False) -> None:
        path = root / STATE_DIRECTORY / FILE_NAME
        self.exists = writes or path.exists()
        self._database = sqlite3.connect(
            path if self.exists else ":memory:", timeout=5, check_same_thread=False
        )
        if writes:
            path.chmod(0o600)
            # Readers don't wait, and nobody waits for the disk: these are spans, not orders.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = OFF")
        if writes or not self.exists:
            self._database.executescript(_TABLES)

    def close(self) -> None:
        self._database.close()

    def add(self, spans: Iterable[Span], *, keep: int) -> None:
        """Keep these, and forget the oldest beyond `keep`. One that is sent again is kept once."""
        with self._database:
            place = 0
            for one in spans:
                row = (
                    one.trace, one.id, one.parent, one.process, one.name, one.kind, one.start, one.end,
                    one.failed, json.dumps(one.attributes),
                    json.dumps([asdict(event) for event in one.events]),
                )  # fmt: skip
                place = self._database.execute(_KEEP, row).lastrowid or 0
                self._database.executemany(
                    # It leads to its trace for as long as the last span that has it.
                    """INSERT INTO name VALUES (?, ?, ?)
                       ON CONFLICT (id, trace) DO UPDATE SET place = excluded.place""",
                    [(name, one.trace, place) for name in one.names],
                )
            self._database.execute("DELETE FROM span WHERE place <= ?", [place - keep])
            self._database.execute("DELETE FROM name WHERE place <= ?", [place - keep])

    def trace(self, wanted: str) -> list[Span]:
        """The spans of the trace that an id leads to: its own, a request's or an event's; none if unknown."""
        for id in (wanted, wanted.lower().replace("-", "")):
            found = self._spans(id)
            if not found:
                named = self._database.execute("SELECT trace FROM name WHERE id = ?", [id]).fetchone()
                found = self._spans(named[0]) if named else []
            if found:
                return found
        return []

    def latest(self, *, slowest: bool, limit: int, exchange: str | None = None) -> list[Listed]:
        """The latest traces, or of the latest the slowest first; `exchange` as `asked` takes it."""
        order = "r.end - r.start" if slowest else "r.start"
        rows = self._database.execute(_LISTED.format(order=order), [limit])
        return [Listed(*(*row, asked(self._spans(row[0]), exchange))) for row in rows.fetchall()]

    def _spans(self, trace: str) -> list[Span]:
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM span WHERE trace = ? ORDER BY start, place",  # nosec B608
            [trace],
        )
        return [
            Span(
                trace, id, parent, process, name, kind, start, end, bool(failed), json.loads(attributes),
                tuple(Happening(**one) for one in json.loads(events)),
            )
            for trace, id, parent, process, name, kind, start, end, failed, attributes, events in rows
        ]  # fmt: skip
