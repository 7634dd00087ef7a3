"""Ownership moves and moves back: one owner at every moment, and no accepted write lost."""

from __future__ import annotations

import pytest

from strangler.movement import switch
from strangler.movement.errors import SwitchLost, SwitchRefused
from strangler.movement.ownership import State, Verdict, verdict
from tests.strangler.movement.switching import NAME, Writers, epoch_of


def test_the_rows_move_and_move_back_while_they_are_written(homes):
    writers = Writers(homes)
    with homes.followed(), writers.busy():
        homes.carry_out("shop")
        assert homes.owners == ["service"]
        homes.carry_out("service")
        assert homes.owners == ["shop"]
        homes.carry_out("shop")
    with homes.followed():
        homes.assert_equal()
    writers.assert_none_lost()
    assert set(writers.accepted.values()) == {"shop", "service"}
    assert epoch_of(homes.shop) == epoch_of(homes.service) == 3


def test_ids_never_collide_across_homes(homes):
    with homes.followed():
        homes.sql("shop", "INSERT INTO rug VALUES (500, 'LAST', 1)", "INSERT INTO knot (rug_id) VALUES (500)")
        (before,) = homes.sql("shop", "SELECT max(id) FROM knot")
        homes.carry_out("shop")
        (after,) = homes.sql("service", "INSERT INTO knot (rug_id) VALUES (500) RETURNING id")
        homes.assert_equal()
        homes.carry_out("service")
        (again,) = homes.sql("shop", "INSERT INTO knot (rug_id) VALUES (500) RETURNING id")
    assert before < after < again


@pytest.mark.parametrize("origin", ["shop", "service"])
@pytest.mark.parametrize("reached", range(len(switch.STEPS) + 1))
def test_left_at_any_step_there_is_one_owner_after_recovery(homes, origin, reached):
    """Whoever is killed after a step: recovery finds one owner, and the next switch works."""
    writers = Writers(homes)
    with homes.followed():
        if origin == "service":
            homes.carry_out("shop")
        with writers.busy(2):
            begun = homes.begin(origin)
            for step in switch.STEPS[:reached]:
                step(begun)
            assert len(homes.owners) <= 1
            switch.recover(NAME, homes.shop, homes.service)
        committed = reached > switch.STEPS.index(switch.commit)
        other = {"shop": "service", "service": "shop"}[origin]
        assert homes.owners == [other if committed else origin]
        assert {belief.state for belief in homes.beliefs()} == {State.OWNER, State.FOLLOWER}
        homes.carry_out(homes.owners[0])
        homes.assert_equal()
    writers.assert_none_lost()


@pytest.mark.parametrize("done_again", range(len(switch.STEPS)))
def test_each_step_done_again_changes_nothing(homes, done_again):
    with homes.followed():
        begun = homes.begin("shop")
        for step in switch.STEPS[: done_again + 1]:
            step(begun)
        before = homes.beliefs()
        switch.STEPS[done_again](begun)
        assert homes.beliefs() == before


def test_an_operator_who_was_paused_past_the_deadline_can_not_commit(homes):
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun, seconds=0)
        assert switch.recover(NAME, homes.shop, homes.service, only_late=True) is Verdict.UNDONE
        with pytest.raises(SwitchLost):
            switch.commit(begun)
        assert homes.owners == ["shop"]
        with pytest.raises(SwitchLost):  # nor raise the fence that he was about to
            switch.raise_fence(begun)
        assert homes.owners == ["shop"]


def test_undone_before_it_was_offered_the_homes_agree_and_it_can_not_be_offered_any_more(homes):
    """The database went away under the first step; the undo burns an epoch that the target never heard of."""
    with homes.followed():
        begun = homes.begin("shop")
        assert switch.undo(begun)
        assert verdict(*homes.beliefs()) is Verdict.SETTLED
        with pytest.raises(SwitchLost):
            switch.offer(begun)
        assert homes.owners == ["shop"]
        homes.carry_out("shop")
        assert homes.owners == ["service"]


def test_a_switch_in_time_is_left_to_its_operator(homes):
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun, seconds=30)
        assert switch.recover(NAME, homes.shop, homes.service, only_late=True) is Verdict.UNDER_WAY
        assert homes.owners == []
        switch.undo(begun)
        assert homes.owners == ["shop"]


def test_nobody_begins_from_a_home_that_follows(homes):
    with pytest.raises(SwitchRefused, match=r"service is follower, epoch 0, fence up"):
        homes.begin("service")
