"""Verification round after round: at a pace, nothing left out, and what it found recorded for the gate."""

from __future__ import annotations

import threading

import pytest

from strangler.movement import operations, rounds
from strangler.movement import verify as verification
from strangler.movement.errors import FollowFailed
from strangler.movement.operations import begin_capture, begin_to_follow
from strangler.movement.state import follow_state
from strangler.movement.verifier import Verifier, one_round, rounds_without_end
from strangler.movement.verify import Pace, resend, verify
from strangler.movement.word import Word
from tests.strangler.movement.test_verify import CORRUPTIONS, TABLES, followed, rugs, written
from tests.waiting import until

__all__ = ["rugs"]  # a fixture

RUGS = "rugs.read"
SLOWLY = Pace(rows=300, rest=0)


def test_a_round_finds_what_a_verification_at_full_speed_finds(rugs):
    with followed(rugs):
        rugs.on_follower(*CORRUPTIONS.values(), "INSERT INTO rug VALUES (9999, 'BEYOND-THE-LAST')")
        with written(rugs, range(100, 2000)):
            found = verify(rugs.owner, rugs.follower, TABLES, pace=SLOWLY)
        assert {str(one) for one in found.differences} - {str(one) for one in CORRUPTIONS} == {
            "rug (9999) is extra at the follower"
        }
        assert set(CORRUPTIONS) <= set(found.differences)


def test_a_round_reads_slices_and_rests_after_each(rugs):
    rested: list[float] = []

    class Noted(Pace):
        def rest_after(self, seconds: float) -> float:
            rested.append(seconds)
            return 0.0

    with followed(rugs):
        found = verify(rugs.owner, rugs.follower, ["rug"], pace=Noted(rows=400))
    assert found.tables[0].rows == 2000
    assert len(rested) == 6, "five slices, and what lies beyond the last key"


def test_at_most_a_tenth_of_the_time_is_the_owner_s():
    assert Pace().rest_after(0.1) == pytest.approx(0.9)
    assert Pace().rest_after(30) == 5.0, "a slice that waited for its mark is rested from in a moment"


@pytest.fixture
def ordered(rugs):
    """Rugs that follow as ordered, beside a follower that speaks; its word."""
    begin_capture(rugs.owner, rugs.follower, TABLES)
    stop = threading.Event()
    word = Word(rugs.follower, stop)
    word.start()
    with followed(rugs):
        begin_to_follow(rugs.owner, rugs.follower, RUGS, "monolith", TABLES, "anna@loom")
        yield word
        stop.set()


def test_rounds_are_recorded_and_the_gate_s_evidence_is_the_last_one(rugs, ordered):
    assert follow_state(rugs.owner, rugs.follower, RUGS, TABLES).round is None
    forever = rounds_without_end(rugs.owner, rugs.follower, RUGS, TABLES)
    assert next(forever).equal
    seen = follow_state(rugs.owner, rugs.follower, RUGS, TABLES)
    assert (seen.round.equal, seen.round.rows, seen.round.tables) == (True, 2010, ("rug", "knot"))
    assert seen.age < 5

    rugs.on_follower("UPDATE rug SET price = 0 WHERE id = 7")
    found = one_round(rugs.owner, rugs.follower, RUGS, TABLES)
    seen = follow_state(rugs.owner, rugs.follower, RUGS, TABLES)
    assert seen.round.named == ("rug (7) is different at the follower",)
    resend(rugs.owner, found.differences)
    assert one_round(rugs.owner, rugs.follower, RUGS, TABLES).equal
    assert follow_state(rugs.owner, rugs.follower, RUGS, TABLES).round.equal


def test_a_row_that_never_settles_is_recorded_by_name(rugs, ordered, monkeypatch):
    monkeypatch.setattr(verification, "LOOKS", 3)
    with written(rugs, range(50, 51)):
        for _ in range(50):
            found = one_round(rugs.owner, rugs.follower, RUGS, TABLES)
            if not found.equal:
                break
    seen = follow_state(rugs.owner, rugs.follower, RUGS, TABLES).round
    assert not seen.equal
    assert seen.named == ("rug (50) never settles: the owner keeps writing it",)


def test_a_round_from_before_it_followed_is_no_evidence_and_a_stopped_one_says_why(rugs, ordered):
    one_round(rugs.owner, rugs.follower, RUGS, TABLES)
    rugs.on_follower("UPDATE strangler_movement.followed SET since = clock_timestamp()")
    assert follow_state(rugs.owner, rugs.follower, RUGS, TABLES).round is None
    for _ in range(2):
        rounds.record_problem(rugs.follower, RUGS, TABLES, "No mark came.")
    assert follow_state(rugs.owner, rugs.follower, RUGS, TABLES).problem == "No mark came."
    kept = "SELECT count(*) FROM strangler_movement.round WHERE problem IS NOT NULL"
    assert rugs.on_follower(kept) == [(1,)]
    one_round(rugs.owner, rugs.follower, RUGS, TABLES)
    seen = follow_state(rugs.owner, rugs.follower, RUGS, TABLES)
    assert (seen.problem, seen.round.equal) == (None, True)


def test_the_follower_s_process_verifies_by_itself(rugs, ordered):
    stop, said = threading.Event(), []
    Verifier(rugs.follower, lambda: ordered.orders, lambda home: rugs.owner, stop, said.append).start()
    until(lambda: said)
    stop.set()
    assert said == ["rugs.read verified: equal"]
    assert follow_state(rugs.owner, rugs.follower, RUGS, TABLES).round.equal


def test_a_verification_in_a_move_is_recorded_and_names_what_differs(rugs, ordered):
    assert operations.verify_rows(rugs.owner, rugs.follower, RUGS, TABLES).startswith("2,010 rows")
    assert follow_state(rugs.owner, rugs.follower, RUGS, TABLES).round.equal


def test_what_can_not_be_recorded_is_said(rugs, ordered):
    found = verify(rugs.owner, rugs.follower, TABLES)
    rugs.on_follower("ALTER TABLE strangler_movement.round RENAME TO gone")
    with pytest.raises(FollowFailed, match="can't be recorded"):
        rounds.record(rugs.follower, RUGS, found)
    rugs.on_follower("ALTER TABLE strangler_movement.gone RENAME TO round")
