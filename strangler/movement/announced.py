"""Which events of a context its owner has recorded, and not everybody who waits for them has been told yet.

With a broker an event is told once that has confirmed it (`published_at`). Without one the subscriptions read
the outbox themselves, and keep in their own databases how far they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strangler.movement.tables import Connection

LISTENS = """
SELECT types, low::text, high::text, reached FROM strangler_inbox_position
WHERE publisher = %s AND subscription NOT LIKE %s
"""
UNREAD = """
SELECT id FROM strangler_outbox_event
WHERE type LIKE %(mine)s AND type = ANY(%(types)s) AND published_at IS NULL
  AND xid >= pg_snapshot_xmin(%(low)s::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, %(low)s::pg_snapshot)
  AND (%(high)s::text IS NULL OR NOT pg_visible_in_snapshot(xid, %(high)s::pg_snapshot) OR seq > %(reached)s)
"""
UNPUBLISHED = "SELECT count(*) FROM strangler_outbox_event WHERE type LIKE %s AND published_at IS NULL"
EVER_PUBLISHED = (
    "SELECT EXISTS (SELECT FROM strangler_outbox_event WHERE published_at IS NOT NULL ORDER BY seq LIMIT 1)"
)


@dataclass(frozen=True)
class Publisher:
    """A home with an outbox, and the context whose events are asked about.

    `brokered`: whether a broker takes its events; without one, whoever has read this outbox counts.
    """

    home: str
    context: str
    brokered: bool

    def untold(self, outbox: Connection, subscribers: Sequence[Connection]) -> int:
        """How many events are still to be told; `subscribers` are the databases of all homes.

        The context's own subscriptions don't count: behind the fence they can't go on, and move along.
        """
        if not _has(outbox, "strangler_outbox_event"):
            return 0
        mine = f"{self.context}.%"
        if self.brokered:
            (count,) = outbox.execute(UNPUBLISHED, [mine]).fetchone() or (0,)
            return int(count)
        unread = set()
        for one in subscribers:
            if not _has(one, "strangler_inbox_position"):
                continue
            for types, low, high, reached in one.execute(LISTENS, [self.home, mine]).fetchall():
                place = {"mine": mine, "types": types, "low": low, "high": high, "reached": reached}
                unread |= {event for (event,) in outbox.execute(UNREAD, place)}
        return len(unread)


def has_published(outbox: Connection) -> bool:
    """Whether a broker has ever confirmed an event of this outbox."""
    return _has(outbox, "strangler_outbox_event") and outbox.execute(EVER_PUBLISHED).fetchone() == (True,)


def _has(side: Connection, table: str) -> bool:
    return side.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone() == (True,)
