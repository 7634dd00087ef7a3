"""Whoever is killed or stops, after whatever statement: one owner before long, and no accepted write lost.

`STRANGLER_MATRIX=1` tries every statement; without it a sample.
"""

from __future__ import annotations

import os
import threading
import time

import psycopg
import pytest

from strangler.movement import switch
from strangler.movement.errors import MovementError
from strangler.movement.follow import following
from strangler.movement.ownership import State, Verdict
from tests.strangler.movement.striking import (
    POINTS,
    SENT,
    Paused,
    Point,
    StrikingBench,
    carry_out,
    carry_out_until_killed,
)
from tests.strangler.movement.switching import NAME, TABLES, Writers
from tests.waiting import until

ALL = bool(os.environ.get("STRANGLER_MATRIX"))
KILLED_AT = [one for one in POINTS if ALL or str(one) in ("raise_fence-6", "prepare_back-10", "commit-12")]
PAUSED_AT = [one for one in POINTS if ALL or str(one) in ("raise_fence-8", "commit-9")]
FENCE = 1.5  # seconds


def until_one_owner(homes) -> bool:
    """What a follower's process does all the time: end what is late, until one home takes writes.

    Returns whether the switch was undone.
    """
    ends: list[Verdict] = []

    def ended() -> bool:
        try:
            ends.append(switch.recover(NAME, homes.shop, homes.service, only_late=True))
        except MovementError as error:
            print(error)
        return len(homes.owners) == 1

    until(ended, within=10, said=homes.beliefs)
    return Verdict.UNDONE in ends


@pytest.mark.parametrize("point", KILLED_AT, ids=str)
def test_an_operator_killed_after_any_statement_leaves_one_owner(homes, point):
    writers = Writers(homes)
    with homes.followed():
        with writers.busy(2):
            carry_out_until_killed(homes.begin("shop"), point)
            assert len(homes.owners) <= 1
            switch.recover(NAME, homes.shop, homes.service)
        (owner,) = homes.owners
        homes.carry_out(owner)
        homes.assert_equal()
    writers.assert_none_lost()


@pytest.mark.parametrize("point", PAUSED_AT, ids=str)
def test_an_operator_who_stops_after_any_statement_keeps_nobody_waiting(homes, point):
    """Past the deadline somebody takes writes again, though the operator lives; who finds that, going on."""
    writers = Writers(homes)
    with homes.followed():
        with writers.busy(2), Paused(homes.begin("shop"), point, FENCE) as operator:
            time.sleep(FENCE)
            undone = until_one_owner(homes)
        # After the commit a session may have ended under him too, and the rows have moved all the same.
        assert (operator.failed is not None) is undone or (point.step is switch.give_away and not undone)
        switch.recover(NAME, homes.shop, homes.service)
        (owner,) = homes.owners
        assert {belief.state for belief in homes.beliefs()} == {State.OWNER, State.FOLLOWER}
        homes.carry_out(owner)
        homes.assert_equal()
    writers.assert_none_lost()


def test_the_points_are_all_that_a_switch_has(homes):
    """Or the tests above would leave out the statements that were added last."""
    sent: dict = {}
    with homes.followed():
        bench = StrikingBench(Point(switch.offer, 0), lambda: None)
        carry_out(homes.begin("shop"), bench, counted=sent)
        bench.close()
    assert {step.__name__: n for step, n in sent.items() if step is not switch.drain} == {
        step.__name__: n for step, n in SENT.items() if step is not switch.drain
    }
    assert sent[switch.drain] >= SENT[switch.drain]


def test_an_applier_who_stops_in_the_middle_of_a_window_keeps_nobody_waiting(homes):
    """It holds the rows that it writes, and the commit point with them, but nobody's way back."""
    stopped, go_on = threading.Event(), threading.Event()

    def apply() -> None:
        with following(homes.shop.url, homes.service.applier, TABLES, echo=homes.shop.applier_role) as stream:
            stream.catch_up()
            send = stream.follower.execute

            def execute(*arguments, **options):
                done = send(*arguments, **options)
                if "strangler_ownership" in str(arguments[0]) and "SHARE" in str(arguments[0]):
                    stopped.set()
                    go_on.wait()
                return done

            stream.follower.execute = execute
            while not go_on.is_set():
                stream.step()

    applier = threading.Thread(target=apply)
    applier.start()
    try:
        homes.wait_until_copied()
        homes.sql("shop", "UPDATE rug SET price = 7 WHERE id = 1")
        assert stopped.wait(10)
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun, FENCE)
        with pytest.raises(MovementError):
            switch.drain(begun)
        began = time.monotonic()
        switch.undo(begun)
        assert homes.owners == ["shop"]
        assert time.monotonic() - began < 2
    finally:
        go_on.set()
        applier.join()


def test_a_home_that_is_asked_for_its_rows_answers_before_long(homes):
    """`owners` itself may not wait for an operator who stopped with a table in hand."""
    with psycopg.connect(homes.shop.url) as holder:
        holder.execute("LOCK TABLE rug IN SHARE ROW EXCLUSIVE MODE")
        assert homes.owners == []
