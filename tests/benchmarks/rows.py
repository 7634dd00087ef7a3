"""Verifying a million rows: ours beside reladiff, and beside the least that has to be read."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from strangler.errors import StranglerError
from strangler.movement.verify import verify
from tests.benchmarks.copy import TABLE, databases, on
from tests.benchmarks.peers import installed
from tests.benchmarks.table import Row, interleaved

TITLE = "Row verification"
SENTENCE = (
    "1,000,000 rows on each of two databases of one server, all columns compared. The floor reads the whole "
    "table of both sides at once with COPY through md5, which tells that something differs and not where. "
    "With ten differences, ours and reladiff name the ten rows."
)
ROWS, ROUNDS, DIFFERENCES = 1_000_000, 3, 10
FILL = f"""
INSERT INTO product (sku, name, price, seller_id, created, description)
SELECT 'SKU-' || n, 'Garish rug ' || n, n * 1.1, n % 40, timestamptz '2026-01-31 12:00Z', repeat('x', 20)
FROM generate_series(1, {ROWS}) AS n
"""


def run() -> list[Row]:
    """Takes two minutes."""
    peer = installed("reladiff")
    with databases() as (owner, follower):
        for side in (owner, follower):
            on(side, TABLE, FILL, "VACUUM ANALYZE product")
        measured: dict[str, Callable[[], float]] = {
            "ours": lambda: _ours(owner, follower, 0),
            "floor": lambda: _floor(owner, follower),
        }
        if peer:
            measured["reladiff"] = lambda: _reladiff(peer, owner, follower, 0)
        equal = interleaved(measured, ROUNDS)
        on(follower, f"UPDATE product SET price = price + 1 WHERE id % {ROWS // DIFFERENCES} = 0")
        measured = {"ours": lambda: _ours(owner, follower, DIFFERENCES)}
        if peer:
            measured["reladiff"] = lambda: _reladiff(peer, owner, follower, DIFFERENCES)
        differing = interleaved(measured, ROUNDS)
    note = "" if peer else "not installed"
    return [
        Row("1 M equal rows", equal["ours"], "s", "reladiff", equal.get("reladiff"), True, note),
        Row("1 M equal rows", equal["ours"], "s", "COPY both, md5", equal["floor"], True),
        Row("ten of them differ", differing["ours"], "s", "reladiff", differing.get("reladiff"), True, note),
    ]


def _ours(owner: str, follower: str, differences: int) -> float:
    start = time.perf_counter()
    found = verify(owner, follower, ["product"])
    assert len(found.differences) == differences, found.reason
    return time.perf_counter() - start


def _floor(owner: str, follower: str) -> float:
    digests: dict[str, str] = {}

    def read(url: str) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        with psycopg.connect(url) as connection:
            statement = "COPY (SELECT * FROM product ORDER BY id) TO STDOUT"
            with connection.cursor().copy(statement) as rows:
                for block in rows:
                    digest.update(block)
        digests[url] = digest.hexdigest()

    start = time.perf_counter()
    threads = [threading.Thread(target=read, args=(url,)) for url in (owner, follower)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests[owner] == digests[follower]
    return time.perf_counter() - start


def _reladiff(peer: Path, owner: str, follower: str, differences: int) -> float:
    urls = [f"postgresql://{url.partition('://')[2]}" for url in (owner, follower)]
    start = time.perf_counter()
    run = subprocess.run(
        [str(peer / "reladiff"), urls[0], "product", urls[1], "product", "--key-columns", "id",
         "--columns", "%", "--threads", "2"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    named = [line for line in run.stdout.splitlines() if line.startswith("-")]
    # It ends with 0 where it couldn't compare anything, and says so on stderr.
    if len(named) != differences or "ERROR" in run.stderr:
        raise StranglerError(f"reladiff named {len(named)} rows, not {differences}: {run.stderr[:500]}")
    return seconds
