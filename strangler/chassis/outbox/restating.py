"""Says how things stand, for subscribers that weren't listening when they came to be so.

    outbox.restates(
        "catalog.product", rows=Product.objects.all, say=ProductRestated.of,
        said_by=(ProductEntered, ProductChanged, ProductRestated),
    )

in an application's events.py. A row is locked, read and announced in one transaction. Whoever changes it does
the same, so of one key the statement comes after every change that it contains, and before every other one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from strangler.chassis.envelope import Announcement
from strangler.chassis.outbox.recording import record

CHUNK = 500  # rows that are locked at a time

SAID = "SELECT DISTINCT key FROM strangler_outbox_event WHERE key = ANY(%s) AND type = ANY(%s)"

_declared: dict[str, Restatement] = {}


@dataclass(frozen=True)
class Restatement:
    """Rows whose state can be announced: `said_by` are the event classes that carry all of it."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    say: Callable[[Any], Announcement]
    said_by: tuple[type[Announcement], ...]

    def run(self, *, everything: bool = False) -> int:
        """Announce the rows of which nobody has been told, or all; returns how many they were.

        Killed half-way, it goes on where it was when it is run again.
        """
        count, last = 0, None
        while True:
            with transaction.atomic():
                rows = self.rows().order_by("pk").select_for_update(of=("self",), no_key=True)
                chunk = list((rows.filter(pk__gt=last) if last is not None else rows)[:CHUNK])
                if not chunk:
                    return count
                last = chunk[-1].pk
                events = [self.say(row) for row in chunk]
                said = set() if everything else self._said(events)
                count += len(record(*(one for one in events if one.key not in said)))

    def _said(self, events: Sequence[Announcement]) -> set[str]:
        types = [one.type.rpartition(".")[0] for one in self.said_by]
        with connection.cursor() as cursor:
            cursor.execute(SAID, [[one.key for one in events], types])
            return {key for (key,) in cursor.fetchall()}


def restates(
    name: str,
    *,
    rows: Callable[[], QuerySet[Any]],
    say: Callable[[Any], Announcement],
    said_by: tuple[type[Announcement], ...],
) -> None:
    """Declare how rows are restated: `say` makes the event of one. The name is what the command takes."""
    _declared[name] = Restatement(name, rows, say, said_by)


def declared(names: Sequence[str] = ()) -> Iterator[Restatement]:
    """What is declared, or what has these names; KeyError for one that nobody declared."""
    return (_declared[name] for name in names or _declared)
