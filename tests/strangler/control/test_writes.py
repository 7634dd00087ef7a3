"""A write capability: replicate, switched, complete, and back; whatever fails, one home owns the rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strangler.control import transition
from strangler.control.desk import Desk
from strangler.control.errors import GatesHeld, TransitionFailed
from strangler.control.phases import COMPLETE, MONOLITH, REPLICATE, SHADOW, SWITCHED, Phase
from strangler.errors import UsageError
from tests.fakes.control_surroundings import NOT_ORDERED, FakeOwnership
from tests.strangler.control.wanted import TEXT, only_catalog_write, wanted
from tests.waiting import Clock

NAME = "catalog.write"
STEPS = ["offer", "raise_fence", "drain", "hand_over", "prepare_back", "commit"]


@pytest.fixture
def config(tmp_path):
    return only_catalog_write(tmp_path)


@pytest.fixture
def replicating(strangler, world):
    """The capability has come to replicate."""
    assert strangler(f"apply {NAME} replicate").exit_code == 0
    world.calls.clear()
    return strangler


@pytest.fixture
def switched(replicating, world):
    """And to switched."""
    assert replicating(f"apply {NAME} switched").exit_code == 0
    world.calls.clear()
    return replicating


# ── Texts ────────────────────────────────────────────────────────────────────────────────────────


def test_plan_and_dry_run_print_the_very_effects(replicating, golden, world):
    shown = replicating(f"plan {NAME} switched")
    golden("plan_write_switch", shown.text)
    rehearsed = replicating(f"apply {NAME} switched --dry-run")
    assert shown.text.splitlines()[1:-1] == rehearsed.text.splitlines()[1:-2]
    assert world.calls == []


def test_the_life_of_a_write_capability_in_words(strangler, golden):
    golden("plan_replicate", strangler(f"plan {NAME} replicate").text)
    golden("apply_replicate", strangler(f"apply {NAME} replicate").text)
    golden("status_replicate", strangler(f"status {NAME}").text)
    golden("apply_write_switched", strangler(f"apply {NAME} switched").text)
    golden("status_write_switched", strangler(f"status {NAME}").text)
    golden("reverse_write", strangler(f"reverse {NAME}").text)
    strangler(f"apply {NAME} switched")
    golden("complete", strangler(f"complete {NAME} --confirm {NAME}").text)
    golden("status_complete", strangler(f"status {NAME}").text)


def test_a_held_switch_in_words(replicating, golden, world):
    world.owned = FakeOwnership(
        crossings=("UPDATE catalog_rug by ordering (services.py:77), 12 times, last at 2026-01-31 12:00:00",),
        holders=("process 7 (shop a long report) has held catalog_rug for 60 s",),
    )
    shown = replicating(f"apply {NAME} switched")
    assert shown.exit_code == 4
    golden("apply_write_held", shown.text)
    assert world.calls == []


def test_homes_that_contradict_each_other_are_shown_loudly(replicating, golden, world):
    world.owned = FakeOwnership(
        owner="",
        settled=False,
        epoch=3,
        sentence="THE HOMES CONTRADICT EACH OTHER on who owns the rows (monolith: owner, epoch 3, fence "
        "down; catalog: owner, epoch 3, fence down). Stop the writers, and compare both databases; was one "
        "restored from a backup?",
    )
    golden("status_contradiction", replicating(f"status {NAME}").text)
    assert replicating(f"apply {NAME} switched").exit_code == 4


# ── What is done, in which order ─────────────────────────────────────────────────────────────────


def test_replicating_puts_the_fence_before_the_rows_follow(strangler, world):
    strangler(f"apply {NAME} replicate")
    assert world.calls == [
        f"replicate {NAME}", f"capture {NAME}", f"follow {NAME}", f"publish {NAME}=replicate",
    ]  # fmt: skip


def test_the_switch_keeps_the_order_of_the_protocol(replicating, world):
    replicating(f"apply {NAME} switched")
    assert world.calls == [
        *(f"{step} monolith 1" for step in STEPS), f"publish {NAME}=switched", "give_away monolith 1",
    ]  # fmt: skip


def switch_until_killed_at(world, desk, effect):
    """A switch whose operator is killed when it comes to this effect."""

    def killed(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world, effect, killed)
        with pytest.raises(KeyboardInterrupt):
            transition.advance_at(desk, NAME, SWITCHED)


def test_writes_are_routed_to_their_owner_when_the_operator_is_gone_after_the_commit(
    replicating, world, desk
):
    assert not transition.route_to_owner(desk, NAME)  # nothing has begun
    switch_until_killed_at(world, desk, "publish")
    world.calls.clear()
    assert transition.route_to_owner(desk, NAME)
    assert world.calls == [f"publish {NAME}=switched"]
    assert not transition.route_to_owner(desk, NAME)
    assert desk.store.standing(NAME).phase == REPLICATE  # what is recorded waits for a verb
    transition.advance_at(desk, NAME, SWITCHED)
    assert desk.store.standing(NAME).phase == SWITCHED


def test_routes_that_come_late_give_way_to_what_others_have_done_meanwhile(
    replicating, world, desk, monkeypatch
):
    published = world.publish

    def stopped(phases):
        monkeypatch.setattr(world, "publish", published)
        transition.advance_at(desk, NAME, SWITCHED)
        transition.take_back_at(desk, NAME, REPLICATE)
        return published(phases)

    switch_until_killed_at(world, desk, "publish")
    monkeypatch.setattr(world, "publish", stopped)
    transition.route_to_owner(desk, NAME)
    assert desk.store.standing(NAME).phase == world.taken[NAME] == REPLICATE


def test_nothing_is_routed_before_the_commit(replicating, world, desk):
    switch_until_killed_at(world, desk, "switch_step")
    world.calls.clear()
    assert not transition.route_to_owner(desk, NAME)
    assert world.calls == []


def test_the_way_back_is_a_switch_in_the_next_epoch(switched, world, desk):
    switched(f"reverse {NAME}")
    assert world.calls == [
        *(f"{step} catalog 2" for step in STEPS), f"publish {NAME}=replicate", "give_away catalog 2",
    ]  # fmt: skip
    assert desk.store.standing(NAME).phase == REPLICATE


def test_cancel_gives_the_move_up_and_takes_the_fences_off(replicating, world, desk):
    replicating(f"cancel {NAME}")
    assert world.calls == [f"publish {NAME}=monolith", f"forget {NAME}", f"stop following {NAME}"]
    assert desk.store.standing(NAME).phase == MONOLITH


# ── What fails ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_before_the_commit_undoes_the_switch(replicating, world, desk, step):
    world.failing = step
    shown = replicating(f"apply {NAME} switched")
    assert shown.exit_code == 1
    assert "The switch was undone: monolith owns the rows of catalog.write, as before." in shown.text
    assert world.calls[-1] == "undo monolith 1"
    assert desk.store.standing(NAME).phase == REPLICATE
    assert desk.store.unfinished(NAME) is None
    world.failing = None
    assert replicating(f"apply {NAME} switched").exit_code == 0
    assert world.committed == 2


def test_what_fails_after_the_commit_is_finished_by_the_next_apply(replicating, world, desk):
    world.failing = "give_away"
    shown = replicating(f"apply {NAME} switched")
    assert "there is no way but forward" in shown.text
    assert desk.store.standing(NAME).phase == REPLICATE
    world.failing = None
    assert replicating(f"apply {NAME}").exit_code == 0
    assert desk.store.standing(NAME).phase == SWITCHED
    assert world.committed == 1


@pytest.mark.parametrize("verb", ["apply {} switched", "reverse {}", "cancel {}"])
def test_killed_before_the_commit_any_verb_undoes_first(replicating, world, desk: Desk, verb):
    plan = transition.draw(desk, NAME, SWITCHED)
    transition._begin(desk, plan)
    replicating(verb.format(NAME))
    assert world.calls[0] == "undo monolith 1"
    assert desk.store.unfinished(NAME) is None
    assert any(one.state == "undone" for one in desk.store.history(NAME))


def test_killed_before_the_commit_nobody_waits_for_what_a_verb_undoes_first(
    replicating, world, desk: Desk, monkeypatch
):
    clock = Clock()
    monkeypatch.setattr(transition, "time", clock)
    transition._begin(desk, transition.draw(desk, NAME, SWITCHED))
    world.owned = FakeOwnership(owner="", settled=False, epoch=1, sentence="A switch is under way.")
    slept, undo = [], world.undo_switch
    monkeypatch.setattr(world, "undo_switch", lambda *which: slept.append(clock.slept) or undo(*which))
    assert replicating(f"apply {NAME} switched --wait 20").exit_code == 4  # this world stays as it is
    assert world.calls[0] == "undo monolith 1"
    assert slept[0] == 0


def test_killed_on_the_way_back_before_the_commit_one_may_go_forward(switched, world, desk: Desk):
    plan = transition.draw_back(desk, NAME, REPLICATE)
    transition._begin(desk, plan)
    done = switched(f"apply {NAME} switched --wait 5")
    assert done.exit_code == 0, done.text
    assert world.calls[0] == "undo catalog 2"
    assert desk.store.unfinished(NAME) is None


def test_killed_after_the_commit_reverse_finishes_and_then_goes_back(replicating, world, desk):
    plan = transition.draw(desk, NAME, SWITCHED)
    transition._begin(desk, plan)
    world.committed = 1
    world.owned = FakeOwnership(owner="catalog", epoch=1)
    assert replicating(f"reverse {NAME}").exit_code == 0
    assert "give_away monolith 1" in world.calls
    assert world.calls.index("give_away monolith 1") < world.calls.index("offer catalog 2")
    assert desk.store.standing(NAME).phase == REPLICATE


# ── The wrong way round ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"apply {NAME} shadow", "goes through monolith, replicate, switched, complete: not shadow"),
        (f"apply {NAME} switched", "after monolith comes replicate, not switched"),
        (f"reverse {NAME}", "replicate lies ahead"),
        (f"complete {NAME} --confirm {NAME}", "is at monolith and not switched yet"),
    ],
)
def test_the_wrong_verb_names_the_right_one(strangler, world, line, sentence):
    shown = strangler(line)
    assert shown.exit_code == 2
    assert sentence in shown.text
    assert world.calls == []


def test_what_was_cut_short_names_a_verb_that_undoes_it(strangler, desk):
    transition._begin(desk, transition.draw(desk, NAME, REPLICATE))
    shown = strangler(f"status {NAME}").text
    assert f"`strangler cancel {NAME}` undoes it" in " ".join(shown.split())
    assert strangler(f"cancel {NAME}").exit_code == 0
    assert desk.store.unfinished(NAME) is None


def test_from_replicate_the_way_back_is_cancel(replicating):
    assert f"`strangler cancel {NAME}` gives the move up" in replicating(f"reverse {NAME} --to monolith").text


def test_from_switched_one_goes_back_step_by_step(switched):
    assert "goes back to replicate first" in switched(f"reverse {NAME} --to monolith").text
    assert f"`strangler reverse {NAME}` takes it back first" in switched(f"cancel {NAME}").text


def test_a_saved_plan_is_refused_when_the_world_has_moved(replicating, world, tmp_path):
    saved = tmp_path / "switch.json"
    replicating(f"plan {NAME} switched --save {saved}")
    world.owned = FakeOwnership(epoch=4)  # somebody has begun, and undone, other switches
    shown = replicating(f"apply --plan {saved}")
    assert shown.exit_code == 2
    assert "would be others now: strangler.toml has changed, or a switch that was undone" in shown.text
    assert world.calls == []


# ── Gates ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("owned", "gate"),
    [
        (FakeOwnership(unknown="The database of catalog can't be reached."), "owner"),
        (FakeOwnership(settled=False, sentence="A switch is under way."), "owner"),
        (FakeOwnership(crossings=("DELETE catalog_rug by unknown code (cron)",)), "crossings"),
        (FakeOwnership(recorded_for=None), "crossings"),
        (FakeOwnership(recorded_for=60.0), "crossings"),
        (FakeOwnership(holders=("process 7 has held catalog_rug",)), "holders"),
    ],
)
def test_the_switch_is_held(replicating, world, desk, owned, gate):
    world.owned = owned
    with pytest.raises(GatesHeld) as held:
        transition.advance_at(desk, NAME, SWITCHED)
    assert gate in [one.name for one in held.value.plan.held]
    assert world.calls == []


def test_a_foreign_key_that_crosses_holds_the_first_step(strangler, world):
    world.owned = FakeOwnership(foreign_keys=("ordering_line (line_rug_fk) -> catalog_rug",))
    shown = strangler(f"apply {NAME} replicate")
    assert shown.exit_code == 4
    assert "ordering_line (line_rug_fk) -> catalog_rug. Make each an id" in shown.text


def test_rows_that_do_not_follow_hold_the_way_back_too(switched, world):
    world.rows = NOT_ORDERED
    assert switched(f"reverse {NAME}").exit_code == 4
    assert switched(f"reverse {NAME} --dry-run").exit_code == 4


@pytest.mark.parametrize(("asked", "code"), [("false", 0), ("true", 4)])
def test_a_pact_is_asked_of_writes_where_strangler_toml_says_so(
    replicating, world, desk, tmp_path, asked, code
):
    text = TEXT.replace("switch = {", f"gate = {{ contracts = {asked} }}\nswitch = {{")
    replicating.desk = replace(desk, config=wanted(tmp_path, text))
    world.kept = None
    assert replicating(f"apply {NAME} switched").exit_code == code


@pytest.mark.parametrize("phase", [MONOLITH, REPLICATE])
def test_there_is_no_canary_of_writes(phase):
    from strangler.control.phases import check_forward

    with pytest.raises(UsageError, match="not shadow"):
        check_forward(NAME, phase, SHADOW, "write")


# ── Complete ─────────────────────────────────────────────────────────────────────────────────────


def test_complete_archives_before_it_drops(switched, world):
    switched(f"complete {NAME} --confirm {NAME}")
    assert world.calls == [f"archive {NAME}", f"publish {NAME}=complete", f"drop {NAME}"]


def test_complete_wants_the_name_typed(switched, world):
    shown = switched(f"complete {NAME} --confirm catalog.read")
    assert shown.exit_code == 2
    assert "'catalog.read' isn't 'catalog.write'. Nothing was changed." in shown.text
    assert world.calls == []


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"still_used": ("the view best_rugs",)}, "unused"),
        ({"rows": NOT_ORDERED}, "rows"),
    ],
)
def test_complete_is_held(switched, world, change, gate):
    for name, value in change.items():
        setattr(world, name, value)
    shown = switched(f"complete {NAME} --confirm {NAME}")
    assert shown.exit_code == 4
    assert gate in shown.text


def test_a_switch_that_has_not_soaked_is_not_completed(switched, world, desk, tmp_path):
    short = replace(desk, config=only_catalog_write(tmp_path, "soak = 86400"))
    with pytest.raises(GatesHeld) as held:
        transition.complete_at(short, NAME)
    assert [one.name for one in held.value.plan.held] == ["soak"]


def test_a_rehearsal_of_complete_tells_what_holds_it_too(switched, world):
    world.still_used = ("the view best_rugs",)
    shown = switched(f"complete {NAME} --dry-run")
    assert shown.exit_code == 4
    assert "the view best_rugs" in shown.text


@pytest.mark.parametrize(
    "line", [f"apply {NAME} complete", f"apply {NAME} complete --dry-run", f"apply {NAME}"]
)
def test_only_complete_completes(switched, world, desk, tmp_path, line):
    switched.desk = replace(desk, config=wanted_to_be_complete(tmp_path))
    shown = switched(line)
    assert shown.exit_code == 2
    assert f"use `strangler complete {NAME}`, which archives first. Nothing was changed." in shown.text
    assert world.calls == []
    assert desk.store.standing(NAME).phase == SWITCHED


def test_a_plan_shows_what_complete_would_do(switched, world, desk, tmp_path):
    switched.desk = replace(desk, config=wanted_to_be_complete(tmp_path))
    shown = switched(f"plan {NAME} --check")
    assert shown.exit_code == 3
    assert "NO WAY LEADS BACK FROM HERE" in shown.text
    assert world.calls == []


def test_what_is_left_after_the_drop_is_done_by_complete_alone_and_asks_no_gate(switched, world, desk):
    world.left = "The tables are dropped."
    shown = switched(f"complete {NAME} --confirm {NAME}")
    assert shown.exit_code == 1
    assert f"The tables are dropped. `strangler complete {NAME}` goes on." in shown.text
    assert desk.store.standing(NAME).phase == SWITCHED
    world.calls.clear()
    shown = switched(f"apply {NAME} complete")
    assert f"`strangler complete {NAME}` finishes it." in shown.text
    assert (shown.exit_code, world.calls) == (1, [])
    world.left, world.rows = None, NOT_ORDERED
    assert switched(f"complete {NAME} --confirm {NAME}").exit_code == 0
    assert world.calls == [f"archive {NAME}", f"publish {NAME}=complete", f"drop {NAME}"]
    assert desk.store.standing(NAME).phase == COMPLETE


def test_an_advance_towards_complete_names_the_verb(replicating, desk, tmp_path):
    replicating.desk = replace(desk, config=wanted_to_be_complete(tmp_path))
    shown = replicating(f"apply {NAME}")
    assert f"`strangler complete {NAME}` goes on to complete" in shown.text


def wanted_to_be_complete(root):
    return wanted(root, TEXT.replace('phase = "switched"\ntables', 'phase = "complete"\ntables'))


def test_reads_do_not_go_back_to_tables_that_are_gone(switched, world, desk, tmp_path):
    both = replace(desk, config=wanted(tmp_path))
    for phase in ("shadow", "canary=10", "switched"):
        transition.advance_at(both, "catalog.read", Phase.parse(phase))
    transition.complete_at(both, NAME)
    world.calls.clear()
    with pytest.raises(
        UsageError, match=r"catalog\.write is complete, so monolith has the tables of catalog"
    ):
        transition.take_back_at(both, "catalog.read", MONOLITH)
    assert world.calls == []
    assert both.store.standing("catalog.read").phase == SWITCHED


def test_completed_there_is_no_way_back(switched):
    switched(f"complete {NAME} --confirm {NAME}")
    shown = switched(f"reverse {NAME}")
    assert shown.exit_code == 2
    assert "is complete: what replicate would need is archived and gone" in shown.text


def test_failing_after_the_commit_keeps_the_transition_open(replicating, world, desk):
    world.failing = "give_away"
    with pytest.raises(TransitionFailed, match="finishes it"):
        transition.advance_at(desk, NAME, SWITCHED)
    assert desk.store.unfinished(NAME)
