"""What has become of events under fire: the publisher's changes beside the subscriber's effects, in SQL.

The publisher's table of changes is written by the transaction that announces, and neither outbox nor inbox is
asked: what is found here doesn't depend on what is on trial.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from typing import Any

import psycopg

COMMITTED = "CREATE TEMPORARY TABLE committed (position bigint, event_id text, rug text, n integer)"
VERDICT = """
WITH wanted AS (
    SELECT event_id, rug, row_number() OVER (PARTITION BY rug ORDER BY position) AS place FROM committed
    WHERE rug <> ALL(%(without)s)
), had AS (
    SELECT event_id, rug, count(*) OVER (PARTITION BY event_id) AS times,
           row_number() OVER (PARTITION BY rug ORDER BY position) AS place
    FROM rugs_seen WHERE rug <> ALL(%(without)s)
)
SELECT (SELECT count(*) FROM wanted),
       (SELECT count(*) FROM had),
       (SELECT count(*) FROM wanted WHERE event_id NOT IN (SELECT event_id FROM had)),
       (SELECT count(*) FROM had WHERE times > 1),
       (SELECT count(*) FROM had JOIN wanted USING (event_id, rug) WHERE had.place <> wanted.place),
       (SELECT count(*) FROM had WHERE event_id NOT IN (SELECT event_id FROM wanted))
"""
PACE = """
SELECT extract(epoch FROM max(seen_at) - min(seen_at))::float8,
       extract(epoch FROM max(gap))::float8
FROM (SELECT seen_at, seen_at - lag(seen_at) OVER (ORDER BY seen_at) AS gap FROM rugs_seen) AS gaps
"""

FIRST_AFTER = "SELECT extract(epoch FROM min(seen_at) - %(at)s)::float8 FROM rugs_seen WHERE seen_at > %(at)s"


@dataclass(frozen=True)
class Verdict:
    """How many events were committed, and what became of them; `unwanted` are effects of none of them."""

    committed: int
    handled: int
    lost: int
    doubled: int
    reordered: int
    unwanted: int

    @property
    def good(self) -> bool:
        """Every effect exactly once, in order, and nothing else; and there were some."""
        return 0 < self.committed == self.handled and not any(astuple(self)[2:])

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, one.name):,} {one.name}" for one in fields(self))


def verdict(publisher: str, subscriber: str, *, without: Sequence[str] = ()) -> Verdict:
    """Hold both databases against each other, leaving out some rugs."""
    with _both(publisher, subscriber) as there:
        row = there.execute(VERDICT, {"without": list(without)}).fetchone()
        assert row is not None
        return Verdict(*row)


def pace(subscriber: str) -> tuple[float, float]:
    """Seconds between the first effect and the last, and the longest between two."""
    with psycopg.connect(subscriber) as session:
        row = session.execute(PACE).fetchone()
        assert row is not None
        return row[0], row[1]


def effects_again(subscriber: str, moments: Sequence[datetime.datetime]) -> float:
    """The most seconds from one of these moments to the next effect; 0 where none came any more."""
    with psycopg.connect(subscriber) as session:
        rows = [session.execute(FIRST_AFTER, {"at": one}).fetchone() for one in moments]
        return max((row[0] for row in rows if row and row[0] is not None), default=0.0)


@contextmanager
def _both(publisher: str, subscriber: str) -> Iterator[psycopg.Connection[Any]]:
    """The subscriber's database, with the publisher's changes in it for as long as the session lasts."""
    with psycopg.connect(publisher) as here, psycopg.connect(subscriber) as there:
        there.execute(COMMITTED)
        with (
            here.cursor().copy("COPY (SELECT position, event_id, rug, n FROM rugs_change) TO STDOUT") as out,
            there.cursor().copy("COPY committed FROM STDIN") as into,
        ):
            for block in out:
                into.write(block)
        there.execute("ANALYZE committed")
        yield there
