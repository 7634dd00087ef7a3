"""What is ordered is obeyed; what is cancelled leaves no trigger, and takes nothing from other orders."""

from __future__ import annotations

import threading

import psycopg
import pytest

from strangler.movement import operations, orders
from strangler.movement.errors import CaptureRefused, CopyFailed, FollowHeld
from strangler.movement.operations import begin_capture, begin_to_follow, stop_following
from strangler.movement.state import follow_state
from strangler.movement.tables import connection
from strangler.movement.word import Word
from tests.strangler.movement.conftest import copy

TRIGGERS = "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname ~ 'strangler' ORDER BY 1"
KEYS = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"


@pytest.fixture
def rugs(pair):
    pair.on_both(
        "CREATE TABLE rug (id int PRIMARY KEY, above int REFERENCES rug DEFERRABLE)",
        "CREATE TABLE knot (id int PRIMARY KEY)",
    )
    pair.on_owner("INSERT INTO rug SELECT n, nullif(n + 1, 101) FROM generate_series(1, 100) AS n")
    return pair


def order(pair, capability: str, *tables: str) -> None:
    with connection(pair.follower, "follower") as follower:
        orders.order(follower, capability, "monolith", tables, "anna@loom")


def test_capture_is_installed_once(rugs):
    assert begin_capture(rugs.owner, rugs.follower, ["rug"]) == "every change of rug is taken from here on"
    assert begin_capture(rugs.owner, rugs.follower, ["rug"]) == "every change was being taken already"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE rug DROP CONSTRAINT rug_pkey CASCADE", "The owner's table rug has no primary key"),
        ("ALTER TABLE rug ADD COLUMN knots int", r"the follower lacks knots \(integer\)"),
        (
            """CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
               CREATE TRIGGER "00_strangler_row" AFTER INSERT ON rug
               FOR EACH ROW EXECUTE FUNCTION theirs()""",
            "has a trigger 00_strangler_row that isn't ours",
        ),
        ("CREATE SCHEMA strangler_capture", "a schema strangler_capture that isn't ours"),
    ],
)
def test_a_table_that_can_not_follow_is_refused_and_nothing_is_changed(rugs, statement, reason):
    rugs.on_owner(statement)
    with pytest.raises(CaptureRefused, match=reason):
        begin_capture(rugs.owner, rugs.follower, ["rug"])
    assert rugs.on_owner("SELECT to_regclass('strangler_capture.change')") == [(None,)]
    assert rugs.on_owner("SELECT count(*) FROM pg_trigger WHERE tgname ~ '_strangler_t'") == [(0,)]


def test_an_order_is_kept_until_it_is_withdrawn(rugs):
    assert not follow_state(rugs.owner, rugs.follower, "rugs.read", ["rug"]).ordered
    order(rugs, "rugs.read", "rug")
    copy(rugs, "rug")
    seen = follow_state(rugs.owner, rugs.follower, "rugs.read", ["rug"])
    assert (seen.ordered, seen.follows, seen.lives, seen.word) == (True, True, False, None)
    assert "rug follow no more" in stop_following(rugs.owner, rugs.follower, "rugs.read", ["rug"])
    assert not follow_state(rugs.owner, rugs.follower, "rugs.read", ["rug"]).ordered
    assert rugs.on_owner("SELECT to_regnamespace('strangler_capture')") == [(None,)]
    assert rugs.on_owner(TRIGGERS) == []
    assert rugs.on_follower("SELECT count(*) FROM rug") == [(100,)]
    # Once more, after a cancel that was killed.
    assert "rug follow no more" in stop_following(rugs.owner, rugs.follower, "rugs.read", ["rug"])


def test_what_another_capability_needs_goes_on_following(rugs):
    order(rugs, "rugs.read", "rug", "knot")
    order(rugs, "rugs.write", "rug")
    copy(rugs, "rug", "knot")
    stop_following(rugs.owner, rugs.follower, "rugs.read", ["rug", "knot"])
    assert rugs.on_owner(TRIGGERS) == [("rug",)]
    assert follow_state(rugs.owner, rugs.follower, "rugs.write", ["rug"]).follows
    said = stop_following(rugs.owner, rugs.follower, "rugs.write", ["rug"])
    assert said.startswith("rug follow no more")
    assert rugs.on_owner(TRIGGERS) == []


def test_rows_that_were_written_while_nobody_followed_are_found_when_it_is_ordered_again(rugs):
    order(rugs, "rugs.read", "rug")
    copy(rugs, "rug")
    stop_following(rugs.owner, rugs.follower, "rugs.read", ["rug"])
    rugs.on_owner("DELETE FROM rug WHERE id = 1", "UPDATE rug SET above = NULL WHERE id = 7")
    begin_capture(rugs.owner, rugs.follower, ["rug"])
    order(rugs, "rugs.read", "rug")
    copy(rugs, "rug")
    rows = "SELECT t::text FROM rug AS t ORDER BY id"
    assert rugs.on_follower(rows) == rugs.on_owner(rows)


def test_half_a_copy_that_is_cancelled_gets_its_foreign_keys_back_or_says_so(rugs):
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    for rows_break_it in (True, False):
        order(rugs, "rugs.read", "rug")
        with pytest.raises(KeyboardInterrupt):
            copy(rugs, "rug", chunk_rows=60, progress=stop)
        assert rugs.on_follower(KEYS) == [(0,)]
        if rows_break_it:
            rugs.on_follower("INSERT INTO rug VALUES (7, 8)")
        said = stop_following(rugs.owner, rugs.follower, "rugs.read", ["rug"])
        assert ("foreign keys stay away from half a copy" in said) is rows_break_it
        rugs.on_follower("DELETE FROM rug")
    assert rugs.on_follower(KEYS) == [(1,)]


def test_a_table_that_is_declared_later_is_named(rugs):
    order(rugs, "rugs.read", "rug")
    copy(rugs, "rug")
    seen = follow_state(rugs.owner, rugs.follower, "rugs.read", ["rug", "knot"])
    assert "knot isn't among the tables that were ordered to follow" in seen.held
    assert not seen.follows


def test_a_trigger_that_somebody_dropped_is_noticed(rugs):
    order(rugs, "rugs.read", "rug")
    copy(rugs, "rug")
    rugs.on_owner('DROP TRIGGER "00_strangler_row" ON rug')
    seen = follow_state(rugs.owner, rugs.follower, "rugs.read", ["rug"])
    assert seen.held.startswith("rug has lost triggers of ours")
    assert not seen.follows


def test_a_reason_that_lasts_ends_the_wait_and_the_order_stands(rugs, monkeypatch):
    monkeypatch.setattr(operations, "HELD_SECONDS", 0.5)
    stop = threading.Event()
    word = Word(rugs.follower, stop)
    word.holds("rug differs between the owner and the follower.")
    word.start()
    try:
        with pytest.raises(FollowHeld, match=r"rug differs between .* The order stands"):
            begin_to_follow(rugs.owner, rugs.follower, "rugs.read", "monolith", ["rug"], "anna@loom")
    finally:
        stop.set()
    assert follow_state(rugs.owner, rugs.follower, "rugs.read", ["rug"]).ordered


def test_a_cancel_waits_for_a_follower_that_is_just_beginning(rugs):
    """Else that one would put capture back after it was taken away."""
    order(rugs, "rugs.read", "rug")
    with psycopg.connect(rugs.follower) as beginning:
        orders.ordered(beginning, holding=True)
        done: list[str] = []
        cancel = threading.Thread(
            target=lambda: done.append(stop_following(rugs.owner, rugs.follower, "rugs.read", ["rug"]))
        )
        cancel.start()
        cancel.join(0.5)
        assert not done
        begin_capture(rugs.owner, rugs.follower, ["rug"])
        beginning.commit()
        cancel.join(10)
    assert done
    assert rugs.on_owner(TRIGGERS) == []


def test_a_database_that_is_away_is_said(rugs):
    away = "postgresql://someone:secret-word@127.0.0.1:1/none"
    seen = follow_state(rugs.owner, away, "rugs.read", ["rug"])
    assert "can't be reached" in seen.unknown
    with pytest.raises(CopyFailed, match="can't be reached") as refused:
        stop_following(rugs.owner, away, "rugs.read", ["rug"])
    assert "secret-word" not in str(refused.value)
