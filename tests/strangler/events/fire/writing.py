"""One writer, a process that may be killed at any moment: it goes on after what is committed.

python -m tests.strangler.events.fire.writing WRITER WRITERS EVENTS KEYS ALLOWED

It announces no more events than the file ALLOWED says, and waits until that is more.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import django
from django.db import InterfaceError, OperationalError, connection, transaction

PER_TRANSACTION = 4  # events, two of each key
ROLLED_BACK = 10  # of so many transactions one is rolled back first, and then done
LATE = 7  # of so many transactions one commits late, behind others that recorded after it
REACHED = """
SELECT coalesce(max(n / %(size)s) + %(writers)s, %(writer)s) FROM rugs_change
WHERE n / %(size)s %% %(writers)s = %(writer)s
"""


class RolledBack(Exception):
    """This transaction isn't to be."""


def rug_of(n: int, keys: int) -> str:
    """The rug of the n-th event; the one after an even one is of the same."""
    return f"rug-{random.Random(n // 2).randrange(keys)}"


def announce(numbers: range, keys: int, poison: int, *, fail: bool) -> None:
    """Announce events in one transaction; with `fail` it is rolled back, and their numbers are negative."""
    from strangler.chassis import outbox
    from tests.strangler.events.project.events import RugPriceChanged
    from tests.strangler.events.project.shell import CHANGE

    def event(n: int) -> RugPriceChanged:
        mood = "poison" if n == poison and not fail else ""
        return RugPriceChanged(rug=rug_of(n, keys), n=-n - 1 if fail else n, mood=mood)

    events = [event(n) for n in numbers]
    with transaction.atomic(), connection.cursor() as cursor:
        for event_id, one in zip(outbox.record(*events), events, strict=True):
            cursor.execute(CHANGE, [event_id, one.rug, one.n])
        if numbers.start // PER_TRANSACTION % LATE == 0:
            time.sleep(0.05)
        if fail:
            raise RolledBack


def transactions(writer: int, writers: int, events: int) -> Iterator[int]:
    """The numbers of this writer's transactions that are still to be done."""
    with connection.cursor() as cursor:
        cursor.execute(REACHED, {"size": PER_TRANSACTION, "writers": writers, "writer": writer})
        (reached,) = cursor.fetchone()
    yield from range(reached, events // PER_TRANSACTION, writers)


def write(writer: int, writers: int, events: int, keys: int, allowed: Path) -> None:
    """Announce this writer's events as they are allowed; a database that goes away is waited for."""
    while True:
        try:
            for number in transactions(writer, writers, events):
                numbers = range(number * PER_TRANSACTION, (number + 1) * PER_TRANSACTION)
                while numbers.stop > int(allowed.read_text()):
                    time.sleep(0.02)
                if number % ROLLED_BACK == 0:
                    with contextlib.suppress(RolledBack):
                        announce(numbers, keys, events // 2, fail=True)
                announce(numbers, keys, events // 2, fail=False)
            return
        except (OperationalError, InterfaceError):
            connection.close()  # whether the last one was committed is asked anew
            time.sleep(0.1)


if __name__ == "__main__":
    django.setup()
    write(*(int(word) for word in sys.argv[1:5]), Path(sys.argv[5]))
