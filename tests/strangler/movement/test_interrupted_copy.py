"""A copy that is killed goes on where it was; nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import psycopg
import pytest

from strangler.movement.backfill import Progress, backfill, copied
from strangler.movement.errors import CopyRefused
from strangler.movement.tables import Connection, connection

CATEGORY = """CREATE TABLE category (
    id int PRIMARY KEY, parent_id int REFERENCES category DEFERRABLE INITIALLY DEFERRED, name text UNIQUE)"""
ROWS = "INSERT INTO category SELECT n, nullif(n % 1000, 0) + 0, 'c' || n FROM generate_series({}, {}) AS n"

# Says how far it is, then waits at that point for its end.
COPY = textwrap.dedent("""
    import sys, time
    from strangler.movement.backfill import backfill
    owner, follower, stop = sys.argv[1], sys.argv[2], int(sys.argv[3])
    def progress(now):
        if now.rows >= stop:
            print(now.rows, flush=True)
            time.sleep(60)
    backfill(owner, follower, ["category"], chunk_rows=100, progress=progress)
""")


def killed_at(pair, rows: int) -> None:
    """Run a copy in a process of its own and kill -9 it once that many rows are there."""
    with subprocess.Popen(
        [sys.executable, "-c", COPY, pair.owner, pair.follower, str(rows)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == str(rows).encode()
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


@pytest.fixture
def killed(pair):
    """Two databases after a copy of 1,000 rows that was killed at 400."""
    pair.on_both(CATEGORY)
    pair.on_owner(ROWS.format(1, 1000))
    killed_at(pair, 400)
    return pair


def test_a_killed_copy_goes_on_after_the_last_committed_chunk(killed):
    assert killed.on_follower("SELECT count(*), max(id) FROM category") == [(400, 400)]
    state = copied(killed.owner, killed.follower, ["category"])
    assert not state.complete
    seen: list[Progress] = []
    report = backfill(killed.owner, killed.follower, ["category"], chunk_rows=100, progress=seen.append)
    (table,) = report.tables
    assert (table.way, table.written) == ("resumed", 600)
    assert seen[0].rows == 400
    assert report.foreign_keys == 1, "the foreign key that the killed copy dropped is back"
    state = copied(killed.owner, killed.follower, ["category"])
    assert state.equal
    assert state.complete


def test_a_copy_can_be_killed_again_and_again(killed):
    killed_at(killed, 700)
    killed_at(killed, 1000)  # every row is there, but the foreign key isn't back yet
    assert not copied(killed.owner, killed.follower, ["category"]).complete
    backfill(killed.owner, killed.follower, ["category"], chunk_rows=100)
    state = copied(killed.owner, killed.follower, ["category"])
    assert state.equal
    assert state.complete


def test_what_the_owner_changed_since_the_kill_is_found(killed):
    killed.on_owner(
        "UPDATE category SET name = 'changed' WHERE id = 7",
        "UPDATE category SET parent_id = NULL WHERE parent_id = 300",
        "DELETE FROM category WHERE id = 300",
        "INSERT INTO category VALUES (0, NULL, 'before all that was copied')",
    )
    (table,) = backfill(killed.owner, killed.follower, ["category"], chunk_rows=100).tables
    assert table.way == "resumed"
    assert table.deleted == 1
    assert copied(killed.owner, killed.follower, ["category"]).equal


def test_a_follower_that_somebody_else_wrote_to_is_compared_row_by_row(killed):
    killed.on_follower("INSERT INTO category VALUES (401, NULL, 'not ours')")
    (table,) = backfill(killed.owner, killed.follower, ["category"], chunk_rows=100).tables
    assert table.way == "levelled"
    state = copied(killed.owner, killed.follower, ["category"])
    assert state.equal
    assert state.complete


def test_restart_compares_every_row(killed):
    (table,) = backfill(killed.owner, killed.follower, ["category"], chunk_rows=100, restart=True).tables
    assert (table.way, table.written) == ("levelled", 600)
    assert copied(killed.owner, killed.follower, ["category"]).complete


def test_a_table_migrated_since_the_kill_is_not_resumed(killed):
    killed.on_both("ALTER TABLE category ADD COLUMN slug text DEFAULT 'x'")
    killed.on_owner("UPDATE category SET slug = 'c-' || id")
    (table,) = backfill(killed.owner, killed.follower, ["category"], chunk_rows=100).tables
    assert table.way == "levelled"
    assert copied(killed.owner, killed.follower, ["category"]).equal


def test_a_finished_copy_whose_levelling_was_stopped_is_not_complete(pair):
    pair.on_both(CATEGORY)
    pair.on_owner(ROWS.format(1, 1000))
    backfill(pair.owner, pair.follower, ["category"])
    pair.on_owner("DELETE FROM category WHERE id = 1000")

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(pair.owner, pair.follower, ["category"], progress=stop)
    state = copied(pair.owner, pair.follower, ["category"])
    assert not state.complete
    assert "1 foreign keys are still set aside" in state.reason
    backfill(pair.owner, pair.follower, ["category"])
    state = copied(pair.owner, pair.follower, ["category"])
    assert state.complete
    assert state.equal


def test_two_copies_into_one_database_don_t_run_at_once(pair, monkeypatch):
    pair.on_both(CATEGORY)
    pair.on_owner(ROWS.format(1, 10))
    monkeypatch.setattr("strangler.movement.backfill.LOCK_WITHIN", 0.2)
    refused = []

    def copy_again(_: Progress) -> None:
        if not refused:
            with pytest.raises(CopyRefused, match="Another copy") as found:
                backfill(pair.owner, pair.follower, ["category"])
            refused.append(found)

    backfill(pair.owner, pair.follower, ["category"], progress=copy_again)
    assert refused
    assert copied(pair.owner, pair.follower, ["category"]).complete


def test_a_chunk_and_its_progress_are_one_transaction(pair, monkeypatch):
    """The database refuses to remember the third chunk: its rows must be gone too."""
    pair.on_both(CATEGORY)
    pair.on_owner(ROWS.format(1, 1000))
    with connection(pair.follower, "follower") as follower:
        break_third_chunk(follower)
    with pytest.raises(Exception, match="not the third"):
        backfill(pair.owner, pair.follower, ["category"], chunk_rows=100)
    assert pair.on_follower("SELECT count(*) FROM category") == [(200,)]
    assert pair.on_follower("SELECT rows, after_key FROM strangler_movement.backfill_progress") == [
        (200, ["200"])
    ]


def break_third_chunk(follower: Connection) -> None:
    from strangler.movement.backfill import schema

    follower.execute(schema())
    with psycopg.ClientCursor(follower) as cursor:
        cursor.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF NEW.rows = 300 THEN RAISE 'not the third'; END IF; RETURN NEW; END $$"""
        )
        cursor.execute(
            """CREATE TRIGGER refuse BEFORE UPDATE ON strangler_movement.backfill_progress
               FOR EACH ROW EXECUTE FUNCTION refuse()"""
        )
