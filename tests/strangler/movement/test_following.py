"""The follower becomes what the owner is, whatever was written, in whatever order, at whatever moment."""

from __future__ import annotations

import time

import psycopg
import pytest

from strangler.movement import capture, windows
from strangler.movement.errors import CopyRefused, FollowHeld
from strangler.movement.follow import Following, following
from tests.strangler.movement.conftest import assert_equal
from tests.strangler.movement.values import AWKWARD

RUG = """CREATE TABLE rug (
    id int PRIMARY KEY, sku text NOT NULL UNIQUE, price numeric,
    cents bigint GENERATED ALWAYS AS (price * 100) STORED)"""
KNOT = """CREATE TABLE knot (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rug_id int NOT NULL REFERENCES rug DEFERRABLE INITIALLY DEFERRED, name text)"""
RUGS = "INSERT INTO rug (id, sku, price) SELECT n, 'GARISH-RUG-' || n, n FROM generate_series({}, {}) AS n"


@pytest.fixture
def rugs(pair):
    """Ten rugs and their knots at the owner, nothing at the follower."""
    pair.on_both(RUG, KNOT)
    pair.on_owner(RUGS.format(1, 10), "INSERT INTO knot (rug_id, name) SELECT id, 'k' || id FROM rug")
    return pair


def follow(pair, *tables: str, chunk_rows: int = 50_000):
    return following(pair.owner, pair.applier, tables or ("rug", "knot"), chunk_rows=chunk_rows)


def assert_same(pair, *tables: str) -> None:
    """By SQL of its own: each side's rows as text, next to each other."""
    for table in tables or ("rug", "knot"):
        rows = f"SELECT t::text FROM {table} AS t ORDER BY 1"
        assert pair.on_follower(rows) == pair.on_owner(rows), table


# ── What was written ─────────────────────────────────────────────────────────────────────────────

WRITES = {
    "an insert": ["INSERT INTO rug VALUES (11, 'PLAIN-RUG', 3)", "INSERT INTO knot (rug_id) VALUES (11)"],
    "an update": ["UPDATE rug SET price = NULL WHERE id = 3"],
    "a bulk update": ["UPDATE rug SET price = price * 1.1, sku = 'X' || sku"],
    "a delete": ["DELETE FROM knot WHERE rug_id = 4", "DELETE FROM rug WHERE id = 4"],
    "a child without its parent for a moment": [
        "BEGIN; DELETE FROM rug WHERE id = 4; INSERT INTO rug VALUES (4, 'AGAIN', 1); COMMIT"
    ],
    "the same row many times": [f"UPDATE rug SET price = {n} WHERE id = 1" for n in range(20)],
    "swapped unique values": [
        "BEGIN; UPDATE rug SET sku = 'x' WHERE id = 1; UPDATE rug SET sku = 'GARISH-RUG-1' WHERE id = 2;"
        "UPDATE rug SET sku = 'GARISH-RUG-2' WHERE id = 1; COMMIT"
    ],
    "a unique value that moves on to a row that is inserted": [
        "UPDATE rug SET sku = 'moved' WHERE id = 5",
        "INSERT INTO rug VALUES (0, 'GARISH-RUG-5', 1)",
    ],
    "deleted and inserted again": [
        "DELETE FROM knot",
        "DELETE FROM rug WHERE id = 1",
        "INSERT INTO rug VALUES (1, 'BACK', 1)",
        "DELETE FROM rug WHERE id = 2",
    ],
    "another key": ["DELETE FROM knot", "UPDATE rug SET id = 100 WHERE id = 1"],
    "keys that move up by one": [
        "DELETE FROM knot",
        "BEGIN; ALTER TABLE rug DROP CONSTRAINT rug_pkey CASCADE;"
        "ALTER TABLE rug ADD PRIMARY KEY (id) DEFERRABLE; UPDATE rug SET id = id + 1; COMMIT",
    ],
    "truncate": ["TRUNCATE knot"],
    "truncate, and rows before and after": [
        "UPDATE rug SET price = 9",
        "TRUNCATE rug CASCADE",
        "INSERT INTO rug VALUES (3, 'AFTER', 3)",
        "INSERT INTO knot (rug_id) VALUES (3)",
    ],
    "what was rolled back": ["BEGIN; DELETE FROM knot; ROLLBACK", "UPDATE rug SET price = 1 WHERE id = 2"],
    "in the replica role": ["SET session_replication_role = replica; DELETE FROM knot WHERE rug_id = 7"],
}


@pytest.mark.parametrize("writes", WRITES.values(), ids=WRITES)
def test_a_write_is_followed(rugs, writes):
    with follow(rugs) as stream:
        stream.catch_up()
        assert_same(rugs)
        rugs.on_owner(*writes)
        stream.catch_up()
        assert_same(rugs)
        assert stream.step().idle


@pytest.mark.parametrize("type_", AWKWARD)
def test_a_value_is_followed_as_it_is(pair, type_):
    pair.on_both(f'CREATE TABLE thing (id int PRIMARY KEY, "Value" {type_}, "order" int)')
    with follow(pair, "thing") as stream:
        stream.catch_up()
        for n, value in enumerate(AWKWARD[type_]):
            pair.on_owner(f"INSERT INTO thing VALUES ({n}, {value}, {n})")
        stream.catch_up()
    rows = 'SELECT id, "Value"::text, "Value" IS NULL FROM thing ORDER BY id'
    assert pair.on_follower(rows) == pair.on_owner(rows)
    assert_equal(pair, "thing")


def test_columns_may_stand_in_another_order_and_keys_have_several(pair):
    pair.on_owner('CREATE TABLE "Order" (n int, a text, "B c" date, kind text, PRIMARY KEY (kind, n))')
    pair.on_follower('CREATE TABLE "Order" ("B c" date, kind text, a text, n int, PRIMARY KEY (kind, n))')
    with follow(pair, "Order") as stream:
        stream.catch_up()
        pair.on_owner(
            """INSERT INTO "Order" VALUES (1, 'x,"y"', '2026-01-01', 'b'), (1, '', NULL, 'a')""",
            """UPDATE "Order" SET kind = 'c' WHERE kind = 'a'""",
        )
        stream.catch_up()
    rows = 'SELECT n, a, "B c", kind FROM "Order" ORDER BY kind, n'
    assert pair.on_follower(rows) == pair.on_owner(rows)


# ── The order of what was written ────────────────────────────────────────────────────────────────


def interleaved(pair, stream: Following) -> list[tuple]:
    """A takes its transaction id, B writes the row and commits, A writes it and commits; what is followed."""
    with psycopg.connect(pair.owner) as a, psycopg.connect(pair.owner) as b:
        a.execute("SELECT pg_current_xact_id()")
        b.execute("UPDATE rug SET sku = 'by B' WHERE id = 1")
        (of_b,) = b.execute("SELECT pg_current_xact_id()::text").fetchone()
        b.commit()
        stream.step()
        a.execute("UPDATE rug SET sku = 'by A' WHERE id = 1")
        a.commit()
    assert pair.on_owner("SELECT sku FROM rug WHERE id = 1") == [("by A",)]
    # The mutant waits for every writer of the server, in any database. One that began between A and B, and
    # still writes, would let it have A's row now and B's later: both are asked for at once.
    behind = f"SELECT pg_snapshot_xmin(pg_current_snapshot()) <= '{of_b}'::xid8"
    deadline = time.monotonic() + 60
    while pair.on_owner(behind) == [(True,)]:
        assert time.monotonic() < deadline, "a transaction of this server has been open for a minute"
        time.sleep(0.01)
    stream.step()
    return pair.on_follower("SELECT sku FROM rug WHERE id = 1")


def test_a_row_that_an_earlier_transaction_writes_last_ends_as_it_wrote_it(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
        assert interleaved(rugs, stream) == [("by A",)]
    assert_same(rugs)


def test_a_cursor_on_transaction_and_id_would_reorder_it(rugs, monkeypatch):
    """The mutant: what is below every running transaction, in the order of transactions. It must fail."""
    below = (
        "c.tx < pg_snapshot_xmin(pg_current_snapshot()) AND c.tx >= pg_snapshot_xmin({since}::pg_snapshot)"
    )
    with follow(rugs) as stream:
        stream.catch_up()
        monkeypatch.setattr(windows, "UNSEEN", below)
        monkeypatch.setattr(windows, "LATEST_FIRST", "c.tx DESC, c.id DESC")
        assert interleaved(rugs, stream) == [("by B",)]


def test_what_a_trigger_of_the_owner_writes_to_the_same_row_comes_last(rugs):
    rugs.on_owner(
        """CREATE FUNCTION round_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           UPDATE rug SET price = ceil(price) WHERE id = NEW.id AND price <> ceil(price);
           RETURN NULL; END $$""",
        "CREATE TRIGGER a_first AFTER UPDATE ON rug FOR EACH ROW EXECUTE FUNCTION round_up()",
    )
    with follow(rugs) as stream:
        stream.catch_up()
        rugs.on_owner("UPDATE rug SET price = 1.5 WHERE id = 1")
        stream.catch_up()
    assert rugs.on_follower("SELECT price FROM rug WHERE id = 1") == [(2,)]


# ── While it is copied ───────────────────────────────────────────────────────────────────────────


def test_rows_that_change_on_both_sides_of_the_copy_s_front_arrive_once(rugs):
    rugs.on_owner(RUGS.format(11, 100))
    with follow(rugs, chunk_rows=10) as stream:
        for n in range(3):
            stream.step()
            rugs.on_owner(
                f"DELETE FROM rug WHERE id IN ({20 + n}, {80 + n})",
                f"INSERT INTO rug VALUES ({-n}, 'before {n}', 1), ({200 + n}, 'after {n}', 1)",
                f"UPDATE rug SET sku = sku || '!' WHERE id IN ({12 + n}, {90 + n})",
                # a unique value that goes over the front
                f"UPDATE rug SET sku = 'left {n}' WHERE id = {1 + n}",
                f"UPDATE rug SET sku = 'GARISH-RUG-{1 + n}' WHERE id = {60 + n}",
            )
        stream.catch_up()
        assert_same(rugs)
    assert_equal(rugs, "rug", "knot")


def test_a_truncate_in_the_middle_of_the_copy(rugs):
    rugs.on_owner(RUGS.format(11, 100))
    with follow(rugs, chunk_rows=10) as stream:
        stream.step()
        stream.step()
        rugs.on_owner("TRUNCATE rug CASCADE", RUGS.format(15, 60))
        stream.catch_up()
    assert_same(rugs)


def test_a_follower_with_rows_is_levelled_and_never_seen_empty(rugs):
    rugs.on_follower("INSERT INTO rug VALUES (1, 'GARISH-RUG-2'), (99, 'stale')")
    with follow(rugs) as stream:
        stream.step()
        assert rugs.on_follower("SELECT count(*) FROM rug") == [(10,)]
        stream.catch_up()
    assert_same(rugs)


def test_a_stopped_stream_goes_on_and_one_that_missed_changes_compares_every_row(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
    rugs.on_owner("UPDATE rug SET price = 77 WHERE id = 7")
    with follow(rugs) as stream:
        assert set(stream.states.values()) == {"following"}
        stream.catch_up()
    assert_same(rugs)
    rugs.on_owner("ALTER TABLE rug DISABLE TRIGGER ALL", "DELETE FROM knot", "DELETE FROM rug WHERE id = 7")
    with follow(rugs) as stream:
        assert stream.states == {"rug": "levelling", "knot": "following"}
        stream.catch_up()
    assert_same(rugs)


def test_what_every_follower_has_is_forgotten(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
        rugs.on_owner("UPDATE rug SET price = 7")
        assert stream.lag().rows == 10
        stream.catch_up()
        assert stream.lag().rows == 0
        rugs.on_owner("INSERT INTO rug VALUES (50, 'NEXT', 1)")
        stream.catch_up()
        stream.confirm()
    assert rugs.on_owner("SELECT count(*) FROM strangler_capture.change WHERE operation = 'U'") == [(0,)]


def test_a_follower_restored_from_a_backup_compares_every_row(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
        ((snapshot, windows_),) = rugs.on_follower(
            "SELECT snapshot::text, windows FROM strangler_movement.watermark"
        )
        rugs.on_owner("UPDATE rug SET price = 7")
        stream.catch_up()
    rugs.on_follower(
        f"UPDATE strangler_movement.watermark SET snapshot = '{snapshot}', windows = {windows_}",
        "UPDATE rug SET price = 1",
    )
    with follow(rugs) as stream:
        assert set(stream.states.values()) == {"levelling"}
        stream.catch_up()
    assert_same(rugs)


# ── What holds it ────────────────────────────────────────────────────────────────────────────────


def test_a_follower_with_another_schema_holds_the_window_until_it_is_migrated(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
        rugs.on_owner(
            "UPDATE rug SET price = 41 WHERE id = 1",
            "ALTER TABLE rug ADD COLUMN colour text DEFAULT 'red'",
            "ALTER TABLE rug DROP COLUMN cents",
            "UPDATE rug SET price = 42 WHERE id = 2",
        )
        with pytest.raises(
            FollowHeld, match=r"rug differs.*the owner lacks cents.*the follower lacks colour"
        ):
            stream.step()
        assert rugs.on_follower("SELECT price FROM rug WHERE id < 3 ORDER BY id") == [(1,), (2,)]
        rugs.on_follower(
            "ALTER TABLE rug ADD COLUMN colour text DEFAULT 'red'", "ALTER TABLE rug DROP COLUMN cents"
        )
        stream.catch_up()
        assert_same(rugs)
        rugs.on_owner("UPDATE rug SET colour = 'blue'")
        stream.catch_up()
        assert_same(rugs)


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_what_a_migration_writes_past_every_trigger_is_found(rugs, steps):
    """Each row gets a value of its own; before, while and after the table is copied."""
    rugs.on_owner(RUGS.format(11, 40))
    with follow(rugs, chunk_rows=10) as stream:
        for _ in range(steps):
            stream.step()
        rugs.on_both("ALTER TABLE rug ADD COLUMN token uuid DEFAULT gen_random_uuid()")
        stream.catch_up()
    assert_same(rugs)


def test_a_migration_while_nobody_followed_is_found(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
    rugs.on_both("ALTER TABLE rug ADD COLUMN token uuid DEFAULT gen_random_uuid()")
    with follow(rugs) as stream:
        stream.catch_up()
    assert_same(rugs)


def test_rows_under_way_while_a_column_moves_to_the_end_are_not_misread(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
        rugs.on_owner("UPDATE rug SET sku = 'x' || sku")
        for statement in ("DROP COLUMN sku", "ADD COLUMN sku text NOT NULL DEFAULT 'PLAIN-RUG'"):
            rugs.on_both(f"ALTER TABLE rug {statement}")
        stream.catch_up()
    assert_same(rugs)


def test_a_column_that_the_follower_alone_has_holds_too(rugs):
    with follow(rugs) as stream:
        stream.catch_up()
        rugs.on_follower("ALTER TABLE rug ADD COLUMN colour text")
        rugs.on_owner("UPDATE rug SET price = 42")
        with pytest.raises(FollowHeld, match="the owner lacks colour"):
            stream.step()


def test_a_follower_that_differs_from_the_start_is_held_before_anything_is_written(rugs):
    rugs.on_follower("ALTER TABLE rug DROP COLUMN price CASCADE")
    with pytest.raises(FollowHeld, match="the follower lacks"), follow(rugs):
        pass
    assert rugs.on_owner("SELECT to_regnamespace('strangler_capture')") == [(None,)]


def test_the_applier_s_login_is_a_role_of_its_own(rugs):
    with (
        pytest.raises(CopyRefused, match="a role of its own"),
        following(rugs.owner, rugs.follower, ["rug"]),
    ):
        pass


def test_a_foreign_key_that_would_carry_a_delete_on_is_refused(rugs):
    rugs.on_follower(
        "CREATE TABLE fringe (rug_id int REFERENCES rug ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(CopyRefused, match="fringe_rug_id_fkey of fringe"), follow(rugs):
        pass


def test_a_second_follower_of_the_same_database_is_refused(rugs, monkeypatch):
    monkeypatch.setattr("strangler.movement.backfill.LOCK_WITHIN", 0.1)
    with follow(rugs) as stream:
        stream.catch_up()
        with pytest.raises(CopyRefused, match="Another follower"), follow(rugs):
            pass


def test_echo_is_told_by_the_applier_s_role(rugs, role):
    """What the applier writes at the follower is no change there; what the home writes is."""
    name, _ = role
    rugs.on_follower("SELECT 1")
    with follow(rugs) as stream:
        stream.catch_up()
        capture.install(rugs.follower, ["rug"], echo=f"{name}_applier")
        rugs.on_owner("UPDATE rug SET price = 7 WHERE id = 1")
        stream.catch_up()
    assert rugs.on_follower("SELECT count(*) FROM strangler_capture.change") == [(0,)]
    rugs.on_follower("UPDATE rug SET price = 8 WHERE id = 1")
    assert rugs.on_follower("SELECT count(*) FROM strangler_capture.change") == [(1,)]
