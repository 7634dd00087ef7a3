"""The follower's word: that its process lives, how far a copy has come, and why it holds, for all to read.

A thread with a connection of its own, so that it speaks in the middle of a long step too. It listens as well:
it reads what is ordered.
"""

from __future__ import annotations

import json
import threading

import psycopg

from strangler.movement import orders
from strangler.movement.backfill import Progress, lay_schema
from strangler.movement.errors import MovementError
from strangler.movement.orders import Orders
from strangler.movement.tables import connection

EVERY_SECONDS = 0.5
WITHIN_SECONDS = 10.0  # a word that is older says that the follower lives no more
AGAIN_SECONDS = 2.0  # until a database that is away is asked once more


class Word:
    """What the follower says to others, and the orders that it last read (None: they can't be read)."""

    def __init__(self, follower_url: str, stop: threading.Event) -> None:
        self.orders: Orders | None = None
        self._url, self._stop = follower_url, stop
        self._held: str | None = None
        self._copying: dict[str, tuple[int, int]] = {}
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="word", daemon=True)

    def start(self) -> None:
        """Begin to speak; it ends with the process, or when `stop` is set."""
        self._thread.start()

    def holds(self, reason: str | None) -> None:
        """Say why nothing is applied; None: it goes on."""
        self._held = reason
        self._news.set()

    def begins(self) -> None:
        """Forget how far an earlier copy has come."""
        self._copying = {}

    def copies(self, now: Progress) -> None:
        """Say how far the copy of a table has come."""
        self._copying = {**self._copying, now.table: (now.rows, now.total)}
        self._news.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connection(self._url, "follower") as follower:
                    lay_schema(follower)
                    while not self._stop.is_set():
                        self.orders = orders.ordered(follower)
                        follower.execute(
                            """INSERT INTO strangler_movement.word (said_at, held, copying)
                               VALUES (clock_timestamp(), %s, %s) ON CONFLICT (one) DO UPDATE
                               SET said_at = excluded.said_at, held = excluded.held,
                                   copying = excluded.copying""",
                            [self._held, json.dumps(self._copying)],
                        )
                        self._news.wait(EVERY_SECONDS)
                        self._news.clear()
            except (MovementError, psycopg.Error):
                # Who follows says what is wrong with the database; a word that grows old says it to others.
                self.orders = None
                self._stop.wait(AGAIN_SECONDS)


def age(follower_url: str) -> float | None:
    """Seconds since the follower's last word, by the clock of its database; None where it never spoke."""
    with connection(follower_url, "follower") as follower:
        if follower.execute("SELECT to_regclass('strangler_movement.word')").fetchone() == (None,):
            return None
        found = follower.execute(
            "SELECT extract(epoch FROM clock_timestamp() - said_at)::float8 FROM strangler_movement.word"
        ).fetchone()
    return found[0] if found else None
