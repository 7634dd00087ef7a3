"""How far a follower is behind an owner that is written a thousand times a second."""

from __future__ import annotations

import random
import secrets
import statistics
import threading
import time

import psycopg

from strangler.errors import StranglerError
from strangler.movement import applier
from strangler.movement.follow import following
from strangler.movement.follower import PAUSE_SECONDS
from tests.benchmarks.copy import FILL, ROWS, TABLE, databases, on
from tests.benchmarks.table import Row

TITLE = "Following"
SENTENCE = (
    f"A table of {ROWS:,} rows; one is changed in each transaction, 1,000 times a second. The lag is counted "
    "from a row's commit at the owner to its being seen at the follower, by a third party that asks every "
    "millisecond."
)
WRITES, WRITERS, SECONDS, PATIENCE_SECONDS = 1_000, 4, 20, 120


def run() -> list[Row]:
    """Takes half a minute."""
    stop, ready = threading.Event(), threading.Event()
    with databases() as (owner, follower):
        on(owner, TABLE, FILL, "ANALYZE product")
        on(follower, TABLE)
        login = applier.ensure(follower, owner, secrets.token_hex(8))
        thread = threading.Thread(target=_follow, args=(owner, login, ready, stop))
        thread.start()
        try:
            if not ready.wait(PATIENCE_SECONDS):
                raise StranglerError(f"the copy has no end after {PATIENCE_SECONDS} s")
            rate, lags = _written(owner, follower)
        finally:
            stop.set()
            thread.join()
    ordered = sorted(1000 * lag for lag in lags)
    note = f"{rate:,.0f} writes/s reached; n = {len(ordered)}"
    return [
        Row("lag at 1,000 writes/s, p50", statistics.median(ordered), "ms", less_is_better=True, note=note),
        Row("lag at 1,000 writes/s, p99", ordered[int(0.99 * len(ordered))], "ms", less_is_better=True),
    ]


def _follow(owner: str, login: str, ready: threading.Event, stop: threading.Event) -> None:
    """As the follower's process does it."""
    with following(owner, login, ["product"]) as stream:
        while not stop.is_set():
            step = stream.step()
            if step.done:
                ready.set()
            if step.idle:
                stop.wait(PAUSE_SECONDS)


def _written(owner: str, follower: str) -> tuple[float, list[float]]:
    """Writes a second that were reached, and the lags in seconds that were seen meanwhile."""
    stop, written, lags = threading.Event(), [0] * WRITERS, []

    def write(seed: int) -> None:
        draw, began, mine = random.Random(seed), time.perf_counter(), 0
        with psycopg.connect(owner, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute(
                    "UPDATE product SET price = price + 1 WHERE id = %s", [draw.randint(2, ROWS)]
                )
                mine += 1
                written[seed] = mine
                if (ahead := began + mine * WRITERS / WRITES - time.perf_counter()) > 0:
                    time.sleep(ahead)

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(WRITERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        with psycopg.connect(owner, autocommit=True) as source, psycopg.connect(follower) as target:
            target.autocommit = True
            while (elapsed := time.perf_counter() - began) < SECONDS:
                mark = f"mark {len(lags)}"
                source.execute("UPDATE product SET description = %s WHERE id = 1", [mark])
                committed = time.perf_counter()
                while target.execute("SELECT description FROM product WHERE id = 1").fetchone() != (mark,):
                    time.sleep(0.001)
                lags.append(time.perf_counter() - committed)
                time.sleep(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return sum(written) / elapsed, lags
