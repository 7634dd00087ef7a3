"""Moves from phase to phase: what is done in which order, what refuses, and two operators at once."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.config import Config
from strangler.control import plan as plans
from strangler.control import transition
from strangler.control.desk import Desk
from strangler.control.errors import GatesHeld, OperatorBusy, PlanOutdated, TransitionFailed
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.control.store import connect
from strangler.errors import UsageError
from strangler.run.system import System
from tests.fakes.control_surroundings import NO_EVIDENCE, FakeEvidence, FakeSurroundings
from tests.strangler.control.wanted import wanted

RUGS = "catalog.read"
TENTH = Phase("canary", 10)


def test_a_capability_goes_all_the_way_and_back(
    config: Config, system: System, world: FakeSurroundings
) -> None:
    for phase in (SHADOW, TENTH, Phase("canary", 50), SWITCHED):
        done = transition.advance(config, system, RUGS, phase, by="anna", surroundings=world)
        assert done is not None
        assert done.state == "done"
        assert world.taken == {RUGS: phase}
    transition.take_back(config, system, RUGS, by="anna", surroundings=world)
    assert world.taken == {RUGS: MONOLITH}
    assert world.calls == [
        "capture catalog.read",
        "follow catalog.read",
        "publish catalog.read=shadow",
        "publish catalog.read=canary=10",
        "publish catalog.read=canary=50",
        "publish catalog.read=switched",
        "publish catalog.read=monolith",
    ]


def test_rows_that_differ_once_they_follow_stop_the_move(desk: Desk, world: FakeSurroundings) -> None:
    world.differing = "Of 8,212 rows in 2 tables, 1 differ. catalog_rug (7) is missing at the follower."
    with pytest.raises(TransitionFailed, match=r"catalog_rug \(7\) is missing"):
        transition.advance_at(desk, RUGS, SHADOW)
    assert desk.store.standing(RUGS).phase == MONOLITH
    assert world.calls == ["capture catalog.read", "follow catalog.read"]


def test_rows_go_on_following_after_a_way_back_until_the_move_is_cancelled(
    desk: Desk, world: FakeSurroundings
) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    transition.take_back_at(desk, RUGS)
    assert world.rows.follows
    transition.cancel_at(desk, RUGS)
    assert not world.rows.ordered
    assert world.taken == {RUGS: MONOLITH}


def test_a_cancel_in_a_canary_routes_everybody_back_first(desk: Desk, world: FakeSurroundings) -> None:
    for phase in (SHADOW, TENTH):
        transition.advance_at(desk, RUGS, phase)
    transition.cancel_at(desk, RUGS)
    assert world.calls[-2:] == ["publish catalog.read=monolith", "stop following catalog.read"]


def test_what_is_switched_is_not_cancelled(desk: Desk, world: FakeSurroundings) -> None:
    for phase in (SHADOW, TENTH, SWITCHED):
        transition.advance_at(desk, RUGS, phase)
    with pytest.raises(UsageError, match=r"`strangler reverse catalog\.read` takes it back first"):
        transition.cancel_at(desk, RUGS)
    assert world.rows.follows


def test_being_there_already_is_nothing_to_do(desk: Desk, world: FakeSurroundings) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    published = len(world.calls)
    assert transition.advance_at(desk, RUGS, SHADOW) is None
    assert transition.take_back_at(desk, RUGS, SHADOW) is None
    assert len(world.calls) == published


@pytest.mark.parametrize("act", [transition.advance_at, transition.take_back_at])
def test_a_gateway_that_disagrees_is_told_again(desk: Desk, world: FakeSurroundings, act) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    world.taken = {RUGS: SWITCHED}
    assert act(desk, RUGS, SHADOW) is not None
    assert world.taken == {RUGS: SHADOW}


def test_a_held_move_changes_nothing(desk: Desk, world: FakeSurroundings) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    world.seen = NO_EVIDENCE
    with pytest.raises(GatesHeld) as held:
        transition.advance_at(desk, RUGS, TENTH)
    assert held.value.exit_code == 4
    assert [gate.name for gate in held.value.plan.held] == ["coverage", "answers", "critical", "latency"]
    assert desk.store.standing(RUGS).phase == SHADOW
    assert world.taken == {RUGS: SHADOW}
    assert len(desk.store.history()) == 1


def test_evidence_counts_from_the_beginning_of_the_phase(desk: Desk, world: FakeSurroundings) -> None:
    for phase in (SHADOW, TENTH, SWITCHED):
        before = desk.store.standing(RUGS).since
        transition.advance_at(desk, RUGS, phase)
        assert world.since == before
    assert world.since is not None


def test_reverse_asks_for_nothing(desk: Desk, world: FakeSurroundings) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    transition.advance_at(desk, RUGS, TENTH)
    world.unready, world.seen = "it is away", NO_EVIDENCE
    done = transition.take_back_at(desk, RUGS, SHADOW)
    assert done is not None
    assert done.state == "done"
    assert desk.store.standing(RUGS).phase == SHADOW


def test_a_refused_snapshot_leaves_the_phase_as_it_was(desk: Desk, world: FakeSurroundings) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    world.refusal = "Envoy refused revision 4: unknown cluster."
    with pytest.raises(TransitionFailed) as failure:
        transition.advance_at(desk, RUGS, TENTH)
    assert str(failure.value).startswith(
        "catalog.read is recorded at shadow. This failed: publish the routes"
    )
    assert "Envoy refused revision 4: unknown cluster." in str(failure.value)
    assert desk.store.standing(RUGS).phase == SHADOW
    assert desk.store.history()[0].state == "failed"
    world.refusal = None
    assert transition.advance_at(desk, RUGS, TENTH).state == "done"


def test_a_way_back_that_the_gateway_refuses_is_recorded_and_can_be_tried_again(
    desk: Desk, world: FakeSurroundings
) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    world.refusal = "The gateway doesn't answer."
    with pytest.raises(
        TransitionFailed, match=r"`strangler reverse catalog\.read --to monolith` tries again"
    ):
        transition.take_back_at(desk, RUGS)
    # A gateway that starts anew routes by the record, and so goes back by itself.
    assert desk.store.standing(RUGS).phase == MONOLITH
    world.refusal = None
    transition.take_back_at(desk, RUGS)
    assert world.taken == {RUGS: MONOLITH}


def test_waiting_advances_as_soon_as_the_gates_pass(desk: Desk, world: FakeSurroundings, monkeypatch) -> None:
    monkeypatch.setattr(transition, "BETWEEN_LOOKS", 0.01)
    transition.advance_at(desk, RUGS, SHADOW)
    world.seen = [NO_EVIDENCE, NO_EVIDENCE, FakeEvidence()]
    looks: list[plans.Plan] = []
    done = transition.advance_at(desk, RUGS, TENTH, wait=5, look=looks.append)
    assert done is not None
    assert len(looks) == 2


def test_waiting_goes_on_when_a_gate_that_let_pass_holds_again(
    desk: Desk, world: FakeSurroundings, monkeypatch
) -> None:
    monkeypatch.setattr(transition, "BETWEEN_LOOKS", 0.01)
    transition.advance_at(desk, RUGS, SHADOW)
    world.seen = [FakeEvidence(), NO_EVIDENCE, FakeEvidence()]
    assert transition.advance_at(desk, RUGS, TENTH, wait=5)


def test_waiting_ends_in_time_and_says_what_held(desk: Desk, world: FakeSurroundings, monkeypatch) -> None:
    monkeypatch.setattr(transition, "BETWEEN_LOOKS", 0.01)
    transition.advance_at(desk, RUGS, SHADOW)
    world.seen = NO_EVIDENCE
    with pytest.raises(GatesHeld):
        transition.advance_at(desk, RUGS, TENTH, wait=0.05)


def test_who_waits_keeps_nobody_from_going_back(desk: Desk, system: System, world: FakeSurroundings) -> None:
    transition.advance_at(desk, RUGS, SHADOW)
    world.seen = NO_EVIDENCE

    def back(plan: plans.Plan) -> None:
        with connect(system) as other:
            transition.take_back_at(replace(desk, store=other, by="bert"), RUGS)

    with pytest.raises(UsageError, match="after monolith comes shadow"):
        transition.advance_at(desk, RUGS, TENTH, wait=5, look=back)
    assert world.taken == {RUGS: MONOLITH}


# ── Saved plans ──────────────────────────────────────────────────────────────────────────────────


def test_a_plan_survives_its_json(desk: Desk) -> None:
    import json

    plan = transition.draw(desk, RUGS, SHADOW)
    assert plan is not None
    assert plans.read(json.dumps(plan.as_json())) == plan


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"capability": 1}', "null", '"plan"'])
def test_what_is_no_plan_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="This is no saved plan"):
        plans.read(text)


def test_a_plan_with_a_made_up_effect_is_refused(desk: Desk) -> None:
    import json

    values = transition.draw(desk, RUGS, SHADOW).as_json()
    values["effects"] = [{"kind": "drop_everything"}]
    with pytest.raises(UsageError, match="There is no effect 'drop_everything'"):
        plans.read(json.dumps(values))


def test_a_saved_plan_is_refused_when_the_revision_has_moved(desk: Desk) -> None:
    saved = transition.draw(desk, RUGS, SHADOW)
    transition.advance_at(desk, RUGS, SHADOW)
    transition.take_back_at(desk, RUGS)
    with pytest.raises(
        PlanOutdated, match=r"made for revision 0 .* at revision 2 now \(monolith, moved there by"
    ):
        transition.advance_at(desk, RUGS, SHADOW, saved=saved)


def test_a_saved_plan_is_refused_when_strangler_toml_has_changed(desk: Desk) -> None:
    saved = transition.draw(desk, RUGS, SHADOW)
    capability = replace(desk.config.capability(RUGS), tables=("catalog_rug",))
    changed = replace(desk, config=replace(desk.config, capabilities={RUGS: capability}))
    with pytest.raises(PlanOutdated, match=r"strangler\.toml has changed"):
        transition.advance_at(changed, RUGS, SHADOW, saved=saved)
    assert transition.advance_at(desk, RUGS, SHADOW, saved=saved).state == "done"


# ── Two at once ──────────────────────────────────────────────────────────────────────────────────


class Slow(FakeSurroundings):
    """Surroundings whose publishing waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def publish(self, phases):
        self.reached.set()
        assert self.go.wait(10)
        return super().publish(phases)


@pytest.fixture
def in_the_middle(system: System, tmp_path: Path):
    """Anna is publishing catalog.read; yields her world, and waits for her at the end."""
    world, config = Slow(), wanted(tmp_path)
    anna = threading.Thread(
        target=transition.advance,
        args=(config, system, RUGS, SHADOW),
        kwargs={"by": "anna@loom", "surroundings": world},
    )
    anna.start()
    try:
        assert world.reached.wait(10)
        yield world, config
    finally:
        world.go.set()
        anna.join()


@pytest.mark.parametrize("act", [transition.advance, transition.take_back])
def test_a_second_operator_is_refused(in_the_middle, system: System, act) -> None:
    world, config = in_the_middle
    with pytest.raises(OperatorBusy, match="by anna@loom, since"):
        act(
            config,
            system,
            RUGS,
            SHADOW if act is transition.advance else MONOLITH,
            by="bert",
            surroundings=world,
        )
    world.go.set()


def test_two_capabilities_do_not_publish_each_other_away(in_the_middle, system: System) -> None:
    world, config = in_the_middle
    bert = threading.Thread(
        target=transition.advance,
        args=(config, system, "reviews.read", SHADOW),
        kwargs={"by": "bert", "surroundings": world},
    )
    bert.start()
    bert.join(0.5)  # he waits until catalog.read is recorded
    world.go.set()
    bert.join(10)
    assert world.taken == {"catalog.read": SHADOW, "reviews.read": SHADOW, "catalog.write": MONOLITH}


# ── What can't be moved ──────────────────────────────────────────────────────────────────────────


def test_writes_can_not_be_moved_yet(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"catalog\.write is a write capability"):
        transition.advance_at(replace(desk, config=wanted(tmp_path)), "catalog.write", SHADOW)


def test_an_unknown_capability_is_one_sentence(desk: Desk) -> None:
    with pytest.raises(UsageError, match=r"There is no capability 'rugs'.*Nothing was changed"):
        transition.advance_at(desk, "rugs", SHADOW)
