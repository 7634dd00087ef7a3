"""The guard takes a capability back on evidence, says so, and never goes forward."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.compare.evidence import Watched
from strangler.compare.store import Hour
from strangler.config import Capability, Config
from strangler.control import backout, e_process, guard, transition
from strangler.control.backout import Watch, mirrored
from strangler.control.desk import Desk
from strangler.control.errors import GatesHeld, TransitionFailed
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.control.store import GUARD, Store, connect
from strangler.run.system import System
from tests.fakes.control_surroundings import NOON, FakeFollowing, FakeRound, FakeSurroundings
from tests.strangler.control.conftest import Terminal
from tests.strangler.control.wanted import only_catalog_read

RUGS, TENTH = "catalog.read", Phase("canary", 10)
LIMIT, CONFIDENCE = 0.01, 0.95
WRONG = (Hour(1, comparable=60, different=4),)
PRICE = "GET /rugs/<int:pk>/ $.price (value, 1 times)"


# ── The mirrored process ─────────────────────────────────────────────────────────────────────────


def test_in_the_first_hour_it_is_half_of_the_gates_likelihood_ratio_turned_round() -> None:
    assert mirrored([(1, 200, 3)], LIMIT) == pytest.approx(0.5 / e_process.e_value(200, 3, LIMIT))


def test_a_million_equal_answers_do_not_make_it_deaf() -> None:
    equal = [(hour, 10_000, 0) for hour in range(1, 101)]
    assert mirrored(equal, LIMIT) < 20
    assert mirrored([*equal, (101, 1000, 12)], LIMIT) > 20
    from_the_beginning_alone = 1 / e_process.e_value(1_001_000, 12, LIMIT)
    assert from_the_beginning_alone < 1e-100


def test_hours_that_are_no_longer_kept_stake_nothing() -> None:
    assert mirrored([(5, 200, 3)], LIMIT) == pytest.approx(1 / 30 / e_process.e_value(200, 3, LIMIT))
    assert mirrored([], LIMIT) == 0


def simulated(rate: float, seed: int, *, answers: int, an_hour: int = 500) -> tuple[bool, bool]:
    """Whether a service that differs at this rate is ever promoted, and ever taken back, if one looks after
    every answer. Between two differences E only grows and E' only shrinks, so the looks right before and
    right after a difference decide for all of them."""
    draw, n, k, hours = random.Random(seed), 0, 0, {1: (0, 0)}
    promoted = back = False
    while n < answers:
        ahead = 1  # answers until the next one that differs
        while draw.random() >= rate and n + ahead <= answers:
            ahead += 1
        promoted |= e_process.e_value(n + ahead - 1, k, LIMIT) >= 1 / (1 - CONFIDENCE)
        for _ in range(ahead):
            n += 1
            hour = 1 + n // an_hour
            equal, different = hours.get(hour, (0, 0))
            hours[hour] = (equal + 1, different)
        k += 1
        equal, different = hours[hour]
        hours[hour] = (equal, different + 1)
        back |= mirrored([(h, *counts) for h, counts in hours.items()], LIMIT) >= 1 / (1 - CONFIDENCE)
    return promoted, back


def test_a_service_at_the_limit_is_promoted_in_less_than_5_percent_of_2000_runs() -> None:
    runs = [simulated(LIMIT, seed, answers=1500) for seed in range(2000)]
    assert sum(promoted for promoted, _ in runs) < 100
    assert sum(back for _, back in runs) > 1800  # and nearly always taken back


def test_a_good_service_is_taken_back_in_less_than_5_percent_of_2000_runs() -> None:
    runs = [simulated(LIMIT / 10, seed, answers=1500) for seed in range(2000)]
    assert sum(back for _, back in runs) < 100
    assert sum(promoted for promoted, _ in runs) > 1900  # and nearly always promoted


# ── The watches ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def capability(tmp_path: Path) -> Capability:
    return only_catalog_read(tmp_path).capability(RUGS)


def against(capability: Capability, *hours: Hour, **others: object) -> list[str]:
    watched = Watched(NOON, hours, others.pop("critical", ()))  # type: ignore[arg-type]
    verdicts = backout.judge(capability, Watch(watched, **others))  # type: ignore[arg-type]
    return [f"{one.name}: {one.sentence}" for one in verdicts if not one.passed]


def test_missing_data_speaks_for_nothing(capability: Capability) -> None:
    assert against(capability) == []
    assert against(capability, Hour(1)) == []


def test_one_critical_field_is_enough(capability: Capability) -> None:
    assert against(capability, critical=(PRICE,)) == [f"critical: A critical field differs: {PRICE}."]


def test_one_confirmed_row_is_enough(capability: Capability) -> None:
    one = FakeFollowing(round=FakeRound(differing=1, named=["catalog_rug (7) differs"]))
    assert against(capability, following=one) == [
        "rows: Of 8,212 rows 1 differ, verified 3 s ago in 0.4 s. catalog_rug (7) differs."
    ]
    assert against(capability, following=FakeFollowing(round=FakeRound(unsettled=1))) == []
    assert against(capability, following=FakeFollowing(round=None)) == []


def test_answers_that_differ_too_often_are_said_with_their_evidence(capability: Capability) -> None:
    assert against(capability, *WRONG) == [
        "answers: 60 compared, 4 differ, E' = 3,012 of 20: with 95 % confidence more than 0.1 %, which "
        "speaks for the limit, 1 %."
    ]
    assert against(capability, Hour(1, comparable=60, different=1)) == []


def test_failures_of_the_service_count_among_its_own_answers(capability: Capability) -> None:
    (said,) = against(capability, Hour(1, comparable=60, answered=30, failed=3))
    assert said.startswith("failures: 30 answered by catalog, 3 failed, E' = ")
    assert against(capability, Hour(1, answered=3000, failed=3)) == []


# ── The guard ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def at(desk: Desk) -> Callable[[Phase], None]:
    def at(phase: Phase) -> None:
        for one in (SHADOW, TENTH, SWITCHED):
            if desk.store.standing(RUGS).phase != phase:
                transition.advance_at(desk, RUGS, one)

    return at


@pytest.fixture
def watcher(desk: Desk) -> Desk:
    return replace(desk, by=GUARD)


@pytest.mark.parametrize("phase", [TENTH, SWITCHED])
@pytest.mark.parametrize("sign", ["critical", "answers", "failures", "rows"])
def test_what_clients_are_answered_by_is_taken_back_at_once(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, phase: Phase, sign: str
) -> None:
    at(phase)
    world.critical = (PRICE,) if sign == "critical" else ()
    if sign == "rows":
        world.rows = FakeFollowing(round=FakeRound(differing=1))
    world.hours = {"answers": WRONG, "failures": (Hour(1, answered=30, failed=3),)}.get(sign, ())
    assert guard.look(watcher, RUGS).startswith("Took it back to shadow.")
    assert watcher.store.standing(RUGS).phase == SHADOW
    assert world.taken[RUGS] == SHADOW
    (last,) = watcher.store.history(RUGS, 1)
    assert (last.by, last.state, last.origin, last.target) == (GUARD, "done", phase, SHADOW)
    assert last.because


def test_in_shadow_it_only_says_so(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.critical = (PRICE,)
    assert guard.look(watcher, RUGS).startswith("No client is answered by catalog")
    assert watcher.store.history(RUGS, 1)[0].by == "anna@loom"


@pytest.mark.parametrize("phase", [MONOLITH, SHADOW, TENTH, SWITCHED])
def test_without_evidence_it_does_nothing(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, phase: Phase
) -> None:
    if phase != MONOLITH:
        at(phase)
    world.hours = ()
    guard.look(watcher, RUGS)
    assert watcher.store.standing(RUGS).phase == phase


def test_what_was_taken_back_stays_until_a_person_names_the_phase(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, desk: Desk, strangler: Terminal
) -> None:
    at(SWITCHED)
    world.hours = WRONG
    guard.look(watcher, RUGS)
    world.hours = ()
    for _ in range(3):
        guard.look(watcher, RUGS)
    held = strangler("apply catalog.read")
    assert held.exit_code == 4
    assert "reverse: guard took it back to shadow" in held.text
    assert "60 compared, 4 differ" in held.text
    with pytest.raises(GatesHeld):
        transition.advance_at(desk, RUGS, TENTH, named=False)
    assert strangler("apply catalog.read canary=10").exit_code == 0
    guard.look(watcher, RUGS)
    assert watcher.store.standing(RUGS).phase == TENTH


def test_what_was_taken_back_stays_so_after_a_move_that_failed(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, desk: Desk, strangler: Terminal
) -> None:
    at(SWITCHED)
    world.hours = WRONG
    guard.look(watcher, RUGS)
    world.hours = ()
    world.refusal = "The gateway refuses these routes."
    with pytest.raises(TransitionFailed):
        transition.advance_at(desk, RUGS, TENTH)
    world.refusal = None
    assert "reverse: guard took it back to shadow" in strangler("apply catalog.read").text
    assert desk.store.standing(RUGS).phase == SHADOW


def test_history_and_status_say_who_and_why(
    watcher: Desk,
    at: Callable[[Phase], None],
    world: FakeSurroundings,
    strangler: Terminal,
    golden: Callable[[str, str], None],
) -> None:
    at(TENTH)
    world.critical, world.hours = (PRICE,), WRONG
    guard.look(watcher, RUGS)
    golden("history_of_a_back_out", strangler("history --limit 1").text)
    guard.look(watcher, RUGS)
    golden("status_after_a_back_out", strangler("status").text)


def test_an_operator_at_work_is_not_disturbed(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, system: System
) -> None:
    at(TENTH)
    world.hours = WRONG
    with connect(system) as other, other.operating(RUGS, "bert@loom"):
        said = guard.look(watcher, RUGS)
    assert "is being moved right now by bert@loom" in said
    assert watcher.store.standing(RUGS).phase == TENTH
    assert guard.look(watcher, RUGS).startswith("Took it back")


def test_evidence_of_a_phase_that_an_operator_has_left_meanwhile_takes_nothing_back(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, desk: Desk
) -> None:
    at(TENTH)
    revision = desk.store.standing(RUGS).revision
    transition.advance_at(desk, RUGS, SWITCHED)
    assert transition.take_back_at(watcher, RUGS, SHADOW, at_revision=revision) is None
    assert desk.store.standing(RUGS).phase == SWITCHED


def test_a_way_back_that_the_gateway_refused_is_finished_later(
    watcher: Desk, at: Callable[[Phase], None], world: FakeSurroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(TENTH)
    world.hours, world.refusal = WRONG, "The gateway refuses."
    assert "couldn't" in guard.look(watcher, RUGS)
    assert world.taken[RUGS] == TENTH
    world.refusal = None
    assert "tries again soon" in guard.look(watcher, RUGS)
    monkeypatch.setattr(guard, "AGAIN_SECONDS", 0.0)
    guard.look(watcher, RUGS)
    assert world.taken[RUGS] == SHADOW


def test_a_guard_that_has_not_looked_is_told_in_status(
    at: Callable[[Phase], None], store: Store, strangler: Terminal, config: Config
) -> None:
    at(TENTH)
    text = strangler("status").text
    assert "GUARD     Hasn't looked so far: nothing is taken back by itself. See `strangler ps`." in text
