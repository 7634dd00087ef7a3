"""A move whose process was killed: the next one finishes it, the way back always works."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strangler.config import Config
from strangler.control import transition
from strangler.control.desk import Desk
from strangler.control.phases import MONOLITH, SHADOW, Phase
from strangler.control.status import look
from strangler.control.store import Store
from strangler.control.text import status as status_text
from strangler.errors import StranglerError
from strangler.run.system import System
from tests.fakes.control_surroundings import NO_EVIDENCE, LastingSurroundings
from tests.waiting import until

PROJECT = Path(__file__).parents[3]
FORWARD = ["0", "1", "2", "3", "publish", "4", "finish"]  # capture, follow, verify, publish, record
BACK = ["0", "1", "publish", "finish"]  # record, publish
CANCELLED = ["0", "1", "publish", "2", "finish"]  # record, publish, stop following


@pytest.fixture
def kill(system: System, store: Store, tmp_path: Path):
    command = [sys.executable, "-m", "tests.strangler.control.killed"]

    def kill(verb: str, phase: str, point: str) -> None:
        child = subprocess.run(
            [*command, str(tmp_path), system.databases["control"], verb, phase, point],
            cwd=PROJECT,
            capture_output=True,
            timeout=30,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
        # Until its session has ended, status would call the move one that goes on.
        until(lambda: not store.operator("catalog.read"))

    return kill


@pytest.fixture
def sit_down(config: Config, store: Store, tmp_path: Path):
    """A desk at the world as the killed process left it."""
    return lambda: Desk(config, store, LastingSurroundings(tmp_path / "world.json"), "bert@loom")


def test_every_point_of_a_move_is_killed_at(sit_down) -> None:
    """A move with another effect needs another point above."""
    plan = transition.draw(sit_down(), "catalog.read", SHADOW)
    assert len(plan.effects) == 5
    assert len(plan.effects) + 2 == len(FORWARD)


@pytest.mark.parametrize("point", FORWARD)
def test_the_next_apply_finishes_a_killed_one(kill, sit_down, point: str) -> None:
    kill("apply", "shadow", point)
    desk = sit_down()
    assert "CUT SHORT" in status_text(look(desk, "catalog.read"))
    done = transition.advance_at(desk, "catalog.read", SHADOW)
    assert done is not None
    assert (done.state, done.by) == ("done", "anna@loom")
    assert [effect.state for effect in done.effects] == ["done"] * 5
    assert desk.store.standing("catalog.read").revision == 1
    _settled_at(desk, SHADOW)
    assert len(desk.store.history()) == 1


@pytest.mark.parametrize("point", FORWARD)
def test_reverse_undoes_a_killed_apply(kill, sit_down, point: str) -> None:
    kill("apply", "shadow", point)
    desk = sit_down()
    transition.take_back_at(desk, "catalog.read")
    _settled_at(desk, MONOLITH)
    back, undone = desk.store.history()
    assert (back.state, undone.state) == ("done", "undone")


@pytest.mark.parametrize("point", BACK)
def test_reverse_finishes_a_killed_reverse_and_apply_says_so(kill, sit_down, point: str) -> None:
    transition.advance_at(sit_down(), "catalog.read", SHADOW)
    kill("reverse", "monolith", point)
    desk = sit_down()
    with pytest.raises(StranglerError, match=r"`strangler reverse catalog\.read --to monolith` finishes it"):
        transition.advance_at(desk, "catalog.read", SHADOW)
    transition.take_back_at(desk, "catalog.read")
    _settled_at(desk, MONOLITH)


@pytest.mark.parametrize("point", CANCELLED)
def test_a_killed_cancel_is_cancelled_again(kill, sit_down, point: str) -> None:
    transition.advance_at(sit_down(), "catalog.read", SHADOW)
    kill("cancel", "monolith", point)
    desk = sit_down()
    assert "strangler cancel" in status_text(look(desk, "catalog.read"))
    with pytest.raises(StranglerError, match=r"`strangler cancel catalog\.read` finishes it"):
        transition.advance_at(desk, "catalog.read", SHADOW)
    transition.cancel_at(desk, "catalog.read")
    _settled_at(desk, MONOLITH)
    assert not desk.surroundings.rows.ordered


def test_a_killed_apply_to_another_phase_says_how_to_go_on(kill, sit_down) -> None:
    kill("apply", "shadow", "2")
    with pytest.raises(StranglerError) as refusal:
        transition.advance_at(sit_down(), "catalog.read", Phase("canary", 10))
    assert "`strangler apply catalog.read shadow` finishes it" in str(refusal.value)
    assert "`strangler reverse catalog.read` undoes it" in str(refusal.value)


def test_between_publishing_and_recording_status_is_loud(kill, sit_down) -> None:
    transition.advance_at(sit_down(), "catalog.read", SHADOW)
    kill("apply", "canary=10", "publish")
    text = status_text(look(sit_down(), "catalog.read"))
    assert "DISAGREES: it has taken revision catalog.read:canary=10" in text
    assert "catalog.read is at shadow" in text


def test_a_gate_can_hold_the_rest_of_a_killed_apply(kill, sit_down) -> None:
    transition.advance_at(sit_down(), "catalog.read", SHADOW)
    kill("apply", "canary=10", "publish")
    desk = sit_down()
    desk.surroundings.unready = "/health/ready answers 503"
    with pytest.raises(StranglerError, match="service: catalog isn't ready"):
        transition.advance_at(desk, "catalog.read", Phase("canary", 10))
    transition.take_back_at(desk, "catalog.read", SHADOW)
    _settled_at(desk, SHADOW)


def test_no_gate_holds_the_bookkeeping_of_a_move_that_was_recorded(kill, sit_down) -> None:
    """The evidence of the new phase has only begun to count."""
    transition.advance_at(sit_down(), "catalog.read", SHADOW)
    kill("apply", "canary=10", "finish")
    desk = sit_down()
    desk.surroundings.seen = NO_EVIDENCE
    transition.advance_at(desk, "catalog.read", Phase("canary", 10))
    _settled_at(desk, Phase("canary", 10))


def _settled_at(desk: Desk, phase: Phase) -> None:
    """The record and the gateway agree, and nothing is left to do."""
    assert desk.store.standing("catalog.read").phase == phase
    assert desk.store.unfinished("catalog.read") is None
    assert desk.gateway().agrees
    assert desk.surroundings.taken == {"catalog.read": phase}
