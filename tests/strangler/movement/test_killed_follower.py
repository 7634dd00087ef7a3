"""A follower that is killed in the middle of a chunk or a window goes on: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psycopg
import pytest

from strangler.movement.errors import FollowFailed
from strangler.movement.follow import following
from tests.waiting import until

RUG = "CREATE TABLE rug (id int PRIMARY KEY, sku text NOT NULL UNIQUE, price numeric)"
RUGS = "INSERT INTO rug SELECT n, 'GARISH-RUG-' || n, n FROM generate_series({}, {}) AS n"
TABLE = "SELECT t::text FROM rug AS t ORDER BY id"

# Follows until the pause in the named method, which it tells; there it waits for its end.
FOLLOW = textwrap.dedent("""
    import sys, time
    from strangler.movement import follow
    owner, applier, method, times = *sys.argv[1:4], int(sys.argv[4])
    wrapped = getattr(follow.Following, method)
    def pausing(self, *arguments):
        global times
        result = wrapped(self, *arguments)
        times -= 1
        if not times:
            print("there", flush=True)
            time.sleep(60)
        return result
    setattr(follow.Following, method, pausing)
    with follow.following(owner, applier, ["rug"], chunk_rows=100) as stream:
        while True:
            stream.step()
""")


@pytest.fixture
def rugs(pair):
    pair.on_both(RUG)
    pair.on_owner(RUGS.format(1, 1000))
    return pair


def kill_in(pair, method: str, times: int, *writes: str) -> None:
    """Follow in a process of its own; kill -9 it after so many calls, within the transaction they are in."""
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, pair.owner, pair.applier, method, str(times)], stdout=subprocess.PIPE
    ) as child:
        if writes:
            until(lambda: follows_all(pair))
            pair.on_owner(*writes)
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def follows_all(pair) -> bool:
    try:
        return pair.on_follower("SELECT state FROM strangler_movement.followed") == [("following",)]
    except psycopg.errors.UndefinedTable:
        return False


def test_killed_in_the_middle_of_the_backfill_it_goes_on_after_the_last_chunk(rugs):
    kill_in(rugs, "_copy_on", 4)
    assert rugs.on_follower("SELECT count(*) FROM rug") == [(300,)], "the fourth chunk was never committed"
    rugs.on_owner(
        "UPDATE rug SET sku = 'changed' WHERE id = 7",
        "DELETE FROM rug WHERE id IN (8, 800)",
        "UPDATE rug SET sku = 'GARISH-RUG-7' WHERE id = 900",
    )
    with following(rugs.owner, rugs.applier, ["rug"], chunk_rows=100) as stream:
        assert stream.states == {"rug": "filling"}
        assert stream.step().copied == 100
        assert rugs.on_follower("SELECT max(id) FROM rug") == [(400,)]
        stream.catch_up()
    assert rugs.on_follower(TABLE) == rugs.on_owner(TABLE)


def test_a_table_that_was_migrated_since_the_kill_is_compared_row_by_row(rugs):
    kill_in(rugs, "_copy_on", 4)
    rugs.on_both("ALTER TABLE rug ADD COLUMN knots int")
    rugs.on_owner("UPDATE rug SET knots = 7")
    with following(rugs.owner, rugs.applier, ["rug"], chunk_rows=100) as stream:
        assert stream.states == {"rug": "levelling"}
        stream.catch_up()
    assert rugs.on_follower(TABLE) == rugs.on_owner(TABLE)


def test_a_chunk_and_its_progress_are_one_transaction(rugs):
    """The database refuses to remember the third chunk: its rows must be gone too."""
    with following(rugs.owner, rugs.applier, ["rug"], chunk_rows=100) as stream:
        rugs.on_follower(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF NEW.rows = 300 THEN RAISE 'not the third'; END IF; RETURN NEW; END $$""",
            """CREATE TRIGGER refuse BEFORE UPDATE ON strangler_movement.backfill_progress
               FOR EACH ROW EXECUTE FUNCTION refuse()""",
        )
        with pytest.raises(FollowFailed, match="not the third"):
            stream.catch_up()
    assert rugs.on_follower("SELECT count(*) FROM rug") == [(200,)]
    assert rugs.on_follower("SELECT rows, after_key FROM strangler_movement.backfill_progress") == [
        (200, ["200"])
    ]


def test_killed_in_the_middle_of_a_window_it_applies_the_window_again(rugs):
    kill_in(rugs, "_apply", 1, "UPDATE rug SET price = price + 1", "DELETE FROM rug WHERE id > 500")
    assert rugs.on_follower("SELECT count(*) FROM rug") == [(1000,)], "half a window is none"
    with following(rugs.owner, rugs.applier, ["rug"]) as stream:
        stream.catch_up()
    assert rugs.on_follower(TABLE) == rugs.on_owner(TABLE)


def test_writers_go_on_while_the_copy_is_killed_and_resumed(rugs):
    """Several hundred writes a second by three writers, of every kind, over the copy and two kills."""
    rugs.on_owner(RUGS.format(1001, 10_000))
    stop, written = threading.Event(), [0, 0, 0]

    def write(writer: int) -> None:
        with psycopg.connect(rugs.owner, autocommit=True) as connection:
            n = 0
            while not stop.is_set():
                n += 1
                id_ = (n * 7919 + writer * 13) % 10_000 + 1
                connection.execute(
                    [
                        "UPDATE rug SET price = price + 1 WHERE id = %(id)s",
                        "DELETE FROM rug WHERE id = %(id)s",
                        "INSERT INTO rug VALUES (%(id)s, 'AGAIN-' || %(id)s, 1) ON CONFLICT DO NOTHING",
                        "UPDATE rug SET price = -1 WHERE id BETWEEN %(id)s AND %(id)s + 20",
                    ][n % 4],
                    {"id": id_},
                )
                written[writer] += 1
                stop.wait(0.004)

    writers = [threading.Thread(target=write, args=[n]) for n in range(3)]
    for writer in writers:
        writer.start()
    start = time.monotonic()
    try:
        kill_in(rugs, "_copy_on", 20)
        kill_in(rugs, "_apply", 40)
        with following(rugs.owner, rugs.applier, ["rug"], chunk_rows=500) as stream:
            while not stream.step().done:
                pass
            stop.set()
            for writer in writers:
                writer.join()
            seconds = time.monotonic() - start
            stream.catch_up()
    finally:
        stop.set()
    assert sum(written) / seconds > 100, f"{sum(written)} writes in {seconds:.1f} s"
    assert rugs.on_follower(TABLE) == rugs.on_owner(TABLE)
