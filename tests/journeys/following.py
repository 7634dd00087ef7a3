"""Rows follow a shop that is written all the time: copied, killed, caught up, corrupted, verified and mended.

    $ python -m tests.journeys.following --scale 50     # about 100,000 products: minutes
    $ python -m tests.journeys.following --scale 1 --seconds 10

First 300 writes a second while rows are copied and the follower is killed with SIGKILL in the middle; at the
end a query of this file's own compares every row. Then ten rows are corrupted at the follower under 1,000
writes a second: `strangler verify` must find these ten by table and key, and no other, and have them mended.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from tests.journeys.project import CAPABILITY, Project, copied, until
from tests.journeys.writing import MIDDLE, Lags, passed_on, writing

TABLES = (
    "catalog_seller", "catalog_category", "catalog_product", "catalog_review", "catalog_product_watchers",
)  # fmt: skip
Say = Callable[[str], None]
Row = tuple[str, int]

# At the follower, each to a row of the upper half, which nobody writes: table, what is done, which row.
CORRUPTIONS = (
    ("catalog_product", "UPDATE {t} SET price = price + 0.01 WHERE id = {id}", 0),
    ("catalog_product", "UPDATE {t} SET name = name || ' ' WHERE id = {id}", 1),
    ("catalog_product", "UPDATE {t} SET created_by_id = NULL WHERE id = {id}", 2),
    ("catalog_product", "UPDATE {t} SET attributes = attributes || '{{\"odd\": 1}}' WHERE id = {id}", 3),
    ("catalog_product", "UPDATE {t} SET updated_at = updated_at + interval '1 us' WHERE id = {id}", 4),
    ("catalog_product", "UPDATE {t} SET in_stock = NOT in_stock WHERE id = {id}", 5),
    ("catalog_review", "DELETE FROM {t} WHERE id = {id}", 0),
    ("catalog_review", "UPDATE {t} SET text = lower(text) || '?' WHERE id = {id}", 1),
    ("catalog_review", "INSERT INTO {t} SELECT (jsonb_populate_record("
     "r, '{{\"id\": 900000001, \"author_id\": 900000001}}')).* FROM {t} AS r WHERE id = {id}", 2),
    ("catalog_seller", "UPDATE {t} SET country = lower(country) WHERE id = {id}", 0),
)  # fmt: skip
INVENTED = 900_000_001  # the id of the row that is put in


def follow_through_a_kill(project: Project, *, rate: float, seconds: float, say: Say) -> None:
    """Begin to follow while the owner is written, kill the follower in the copy, and compare every row."""
    with writing(project, rate=rate) as written:
        time.sleep(1)
        applying = threading.Thread(
            target=project.does, args=("apply", CAPABILITY, "shadow"), kwargs={"timeout": 1800}
        )
        began, empty = time.monotonic(), not _products(project, "catalog")
        applying.start()
        total = _products(project, "monolith")
        # A service that holds rows of an earlier move has them all the time; an empty one gets chunks.
        begun = (lambda: _products(project, "catalog")) if empty else (lambda: _is_copying(project))
        until(begun, "the copy to begin", pause=0.02)
        there = _products(project, "catalog")
        project.kill("follower")
        say(f"killed the follower with SIGKILL when {there:,} of {total:,} products were there")
        applying.join()
        (status,) = project.does("status", CAPABILITY, "--json").json
        assert status["phase"] == "shadow", "the move wasn't made"
        say(f"copied, caught up and verified after {time.monotonic() - began:.1f} s, the kill among them")
        with Lags(project) as lags:
            time.sleep(seconds)
    say(f"written meanwhile: {written}")
    say(
        f"lag p50 {lags.percentile(0.5):.0f} ms, p99 {lags.percentile(0.99):.0f} ms (n = {len(lags.seconds)})"
    )
    rows = compare(project)
    say(f"{rows:,} rows in {len(TABLES)} tables compared by a query of our own: 0 differ")


def corrupt_and_mend(project: Project, *, rate: float, say: Say) -> None:
    """Ten corruptions among living writes, found by table and key, none invented, and mended."""
    with writing(project, rate=rate) as written:
        time.sleep(1)
        sound = project.does("verify", CAPABILITY, "--json", timeout=600).json
        assert _found(sound) == set(), sound
        suspects = sum(table["suspects"] for table in sound["tables"])
        say(f"verified in {sound['seconds']:.1f} s under writes: {suspects:,} suspects, none differs")
        wanted = corrupt(project)
        found = project.strangler("verify", CAPABILITY, "--json", timeout=600)
        assert found.code == 1, found.out + found.err
        assert _found(found.json) == wanted, (_found(found.json) ^ wanted, found.out)
        suspects = sum(table["suspects"] for table in found.json["tables"])
        say(f"{len(wanted)} corrupted; found these {len(wanted)} and no other, among {suspects:,} suspects")
        dry = project.strangler("verify", CAPABILITY, "--repair", "--json", timeout=600)
        assert (dry.code, _found(dry.json)) == (1, wanted), dry.out
        mended = project.does("verify", CAPABILITY, "--repair", "--execute", "--json", timeout=600).json
        assert (mended["equal"], mended["sent_again"]) == (True, len(wanted)), mended
        say(f"the owner sent {mended['sent_again']} rows again, and no row differs")
    say(f"written meanwhile: {written}")
    rows = compare(project)
    say(f"{rows:,} rows compared by a query of our own: 0 differ")


def corrupt(project: Project) -> set[Row]:
    """Do it, and return the tables and keys."""
    touched: set[Row] = set()
    for table, statement, which in CORRUPTIONS:
        ((key,),) = project.on(
            "catalog",
            f"SELECT id FROM {table} WHERE id > (SELECT {MIDDLE} FROM {table} WHERE id < {INVENTED})"
            + (" AND created_by_id IS NOT NULL" if table == "catalog_product" else "")
            + f" ORDER BY id OFFSET {which * 7} LIMIT 1",
        )
        project.on("catalog", statement.format(t=table, id=key))
        touched.add((table, INVENTED if statement.startswith("INSERT") else key))
    assert len(touched) == len(CORRUPTIONS)
    return touched


def compare(project: Project) -> int:
    """Wait until what was written has passed, and compare every row of both homes; how many there are."""
    with (
        psycopg.connect(project.database("monolith"), autocommit=True) as owner,
        psycopg.connect(project.database("catalog"), autocommit=True) as follower,
    ):
        passed_on(owner, follower, f"the end at {time.time()}")
        both = [_hashes(owner), _hashes(follower)]
    differing = {row for row in both[0].keys() | both[1].keys() if both[0].get(row) != both[1].get(row)}
    assert not differing, f"{len(differing)} rows differ: {sorted(differing)[:5]}"
    return len(both[0])


def _hashes(connection: psycopg.Connection[Any]) -> dict[Row, str]:
    connection.execute("SET timezone = 'UTC'")
    found: dict[Row, str] = {}
    for table in TABLES:
        columns = connection.execute(
            "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY column_name) "
            "FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public'",
            [table],
        ).fetchone()
        assert columns
        rows = connection.execute(
            f"SELECT id, md5(ROW({columns[0]})::text) FROM {table} ORDER BY id".encode()
        )
        found |= {(table, key): digest for key, digest in rows}
    return found


def _found(verified: dict[str, Any]) -> set[Row]:
    assert not any(table["unsettled"] for table in verified["tables"]), verified
    return {
        (table["name"], int(next(iter(one["key"])) if isinstance(one["key"], list) else one["key"]))
        for table in verified["tables"]
        for one in table["differences"]
    }


def _products(project: Project, home: str) -> int:
    return int(project.on(home, "SELECT count(*) FROM catalog_product")[0][0])


def _is_copying(project: Project) -> bool:
    exists = project.on("catalog", "SELECT to_regclass('strangler_movement.backfill_progress')")
    begun = "SELECT 1 FROM strangler_movement.backfill_progress WHERE table_name = 'catalog_product'"
    return exists != [(None,)] and bool(project.on("catalog", begun))


def main() -> None:
    """Run both on a copy of the project, on the server that DATABASE_URL names or on an embedded one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=50, help="1 is 2,000 products")
    parser.add_argument("--seconds", type=float, default=60, help="how long to write and measure the lag")
    parser.add_argument("--rate", type=float, default=300, help="rows written a second while they are copied")
    options = parser.parse_args()
    began = time.monotonic()

    def say(sentence: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {sentence}", flush=True)

    with (
        tempfile.TemporaryDirectory() as directory,
        copied(Path(directory), database="DATABASE_URL" in os.environ) as project,
        ExitStack() as until_done,
    ):
        seed = ('"seed", "--scale", "1"', f'"seed", "--scale", "{options.scale:g}"')
        until_done.enter_context(project.edited("strangler.toml", *seed))
        try:
            project.does("run", "--detach", timeout=1800)
            say(f"up, with {_products(project, 'monolith'):,} products")
            follow_through_a_kill(project, rate=options.rate, seconds=options.seconds, say=say)
            corrupt_and_mend(project, rate=1000, say=say)
        except AssertionError as failure:
            sys.exit(f"FAILED: {failure}")
        finally:
            project.strangler("stop")


if __name__ == "__main__":
    main()
