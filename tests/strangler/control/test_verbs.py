"""What the verbs print, as golden texts, and the exit codes that they end with."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.cli import VERBS, main
from strangler.control import guard, transition
from strangler.control.desk import Desk, operators_name
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.control.store import GUARD
from strangler.movement.windows import Lag
from tests.fakes.control_surroundings import (
    NO_EVIDENCE,
    FakeEvidence,
    FakeFollowing,
    FakeRound,
    FakeSurroundings,
)
from tests.strangler.control.conftest import Terminal
from tests.strangler.control.wanted import only_catalog_read, wanted

Golden = Callable[[str, str], None]
RUGS = "catalog.read"
TENTH = Phase("canary", 10)


@pytest.fixture
def at(desk: Desk) -> Callable[[Phase], None]:
    """Brings catalog.read to a phase, one move after the other."""

    def at(phase: Phase) -> None:
        for one in (SHADOW, TENTH, SWITCHED):
            if desk.store.standing(RUGS).phase != phase:
                transition.advance_at(desk, RUGS, one)
        guard.look(replace(desk, by=GUARD), RUGS)

    return at


# ── status ───────────────────────────────────────────────────────────────────────────────────────


def test_status_of_what_has_never_moved(strangler: Terminal, golden: Golden) -> None:
    shown = strangler("status")
    assert shown.exit_code == 0
    golden("status_never_moved", shown.text)


def test_status_in_a_canary_that_is_held(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(TENTH)
    world.seen = FakeEvidence(
        captured=120, dropped=4, comparable=116, different=1, shapes=104, shapes_different=1, coverage=0.9666
    )
    golden("status_held", strangler("status catalog.read").text)


def test_status_counts_stale_answers_apart(
    strangler: Terminal, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.seen = FakeEvidence(captured=120, comparable=110, stale=10, coverage=0.9166)
    assert "0 differ, 2 excused, 10 stale." in strangler("status catalog.read").text
    assert json.loads(strangler("status catalog.read --json").text)[0]["evidence"]["stale"] == 10


def test_status_of_what_has_switched(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None]
) -> None:
    at(SWITCHED)
    golden("status_switched", strangler("status").text)


def test_status_is_loud_when_the_gateway_disagrees(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.taken = {RUGS: SWITCHED}
    golden("status_disagrees", strangler("status").text)


def test_status_is_loud_when_gateway_and_service_are_away(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.down = "The gateway doesn't answer at http://127.0.0.1:4 (Connection refused). See `strangler ps`."
    world.unready = "http://127.0.0.1:2 doesn't answer (Connection refused)"
    golden("status_away", strangler("status").text)


def test_status_says_why_rows_do_not_follow(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.rows = FakeFollowing(
        held="catalog_rug differs between the owner and the follower: the follower lacks knots (integer).",
        lag=Lag(1200, 42.0),
    )
    golden("status_rows_held", strangler("status").text)
    world.rows = FakeFollowing(
        word=31.0,
        round=FakeRound(differing=2, named=("catalog_rug (7) is missing at the follower", "catalog_rug (8)")),
    )
    golden("status_follower_away", strangler("status").text)


def test_status_is_loud_about_a_move_that_was_cut_short(
    strangler: Terminal, golden: Golden, desk: Desk
) -> None:
    desk.store.begin(desk.store.standing(RUGS), SHADOW, "anna@loom", [])
    golden("status_cut_short", strangler("status", by="bert@loom").text)


def test_status_names_who_is_moving_it(strangler: Terminal, golden: Golden, desk: Desk) -> None:
    with desk.store.operating(RUGS, "anna@loom"):
        desk.store.begin(desk.store.standing(RUGS), SHADOW, "anna@loom", [])
        golden("status_moving", strangler("status", by="bert@loom").text)


def test_status_as_json_says_the_same(strangler: Terminal, at: Callable[[Phase], None]) -> None:
    at(TENTH)
    (one,) = json.loads(strangler("status --json").text)
    assert (one["phase"], one["wanted"], one["next"]) == ("canary=10", "switched", "switched")
    assert one["gateway"]["agrees"] is True
    assert one["evidence"]["comparable"] == 400
    assert [gate["passed"] for gate in one["gates"]] == [True] * 10
    assert one["following"]["lag"] == {"rows": 0, "seconds": 0.0}
    assert one["following"]["follower"] == {"lives": True, "word_age": 0.4, "held": None}
    assert one["following"]["verified"]["equal"] is True
    assert one["guard"]["lives"] is True
    assert one["evidence"]["counts"] == "counts from 2026-01-31 12:00:00 UTC, when the comparator began"


# ── plan ─────────────────────────────────────────────────────────────────────────────────────────


def test_plan_of_the_first_move(strangler: Terminal, golden: Golden) -> None:
    golden("plan_shadow", strangler("plan").text)


def test_plan_of_a_move_that_is_held(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.seen = NO_EVIDENCE
    shown = strangler("plan catalog.read canary=5")
    assert shown.exit_code == 0
    golden("plan_held", shown.text)


def test_plan_of_a_way_back(strangler: Terminal, golden: Golden, at: Callable[[Phase], None]) -> None:
    at(TENTH)
    golden("plan_back", strangler("plan catalog.read monolith").text)


def test_plan_with_check_ends_with_3_until_there_is_nothing_to_do(
    strangler: Terminal, at: Callable[[Phase], None]
) -> None:
    shown = strangler("plan --check")
    assert shown.exit_code == 3
    assert "There is something to do for catalog.read. Nothing was changed." in shown.text
    at(SWITCHED)
    shown = strangler("plan --check")
    assert shown.exit_code == 0
    assert shown.text == "catalog.read is at switched, and there is nothing to do.\n"


def test_a_file_that_wants_less_than_there_is_counts_as_pending(
    desk: Desk, tmp_path: Path, at: Callable[[Phase], None]
) -> None:
    at(TENTH)
    shown = Terminal(replace(desk, config=only_catalog_read(tmp_path, "shadow")))("plan --check")
    assert shown.exit_code == 3
    assert "strangler reverse catalog.read --to shadow" in shown.text


def test_a_saved_plan_is_done_once_and_then_refused(strangler: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert strangler(f"plan catalog.read --save {file}").exit_code == 0
    assert strangler(f"apply --plan {file}").exit_code == 0
    shown = strangler(f"apply --plan {file}")
    assert shown.exit_code == 2
    assert "This plan was made for revision 0 of catalog.read (monolith)" in shown.text


# ── apply ────────────────────────────────────────────────────────────────────────────────────────


def test_apply_says_what_it_did_and_what_comes_next(strangler: Terminal, golden: Golden) -> None:
    shown = strangler("apply")
    assert shown.exit_code == 0
    golden("apply_shadow", shown.text)


def test_apply_that_is_held_ends_with_4_and_the_reason(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.seen = NO_EVIDENCE
    shown = strangler("apply catalog.read canary=10")
    assert shown.exit_code == 4
    golden("apply_held", shown.text)


def test_a_dry_run_prints_the_effects_of_the_plan_and_changes_nothing(
    strangler: Terminal, golden: Golden, desk: Desk, world: FakeSurroundings
) -> None:
    shown = strangler("apply catalog.read shadow --dry-run")
    golden("apply_dry_run", shown.text)
    assert world.calls == []
    assert desk.store.history() == []
    plan = transition.draw(desk, RUGS, SHADOW)
    assert plan is not None
    for effect in plan.effects:
        assert effect.describe() in " ".join(shown.text.split())


def test_a_dry_run_of_a_held_move_ends_with_4(
    strangler: Terminal, at: Callable[[Phase], None], world: FakeSurroundings
) -> None:
    at(SHADOW)
    world.seen = NO_EVIDENCE
    assert strangler("apply catalog.read --dry-run").exit_code == 4


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("apply catalog.read shadow", "wrong_direction_apply"),
        ("reverse catalog.read --to switched", "wrong_direction_reverse"),
    ],
)
def test_the_wrong_direction_suggests_the_right_verb(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], line: str, name: str
) -> None:
    at(TENTH)
    shown = strangler(line)
    assert shown.exit_code == 2
    golden(name, shown.text)


def test_a_phase_that_is_left_out_is_named(strangler: Terminal, golden: Golden) -> None:
    shown = strangler("apply catalog.read switched")
    assert shown.exit_code == 2
    golden("apply_too_far", shown.text)


def test_after_a_reverse_the_file_moves_nothing_until_somebody_names_a_phase(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], desk: Desk
) -> None:
    at(SWITCHED)
    strangler("reverse catalog.read", by="bert@loom")
    for line in ("apply", "apply catalog.read", "apply --dry-run"):
        assert strangler(line).exit_code == 4
    golden("apply_after_reverse", strangler("apply catalog.read").text)
    assert strangler("plan --check").exit_code == 3
    assert desk.store.standing(RUGS).phase == MONOLITH

    assert strangler("apply catalog.read shadow").exit_code == 0
    assert strangler("apply").exit_code == 0  # and the file counts again
    assert desk.store.standing(RUGS).phase == TENTH


def test_apply_to_where_it_is_has_nothing_to_do(strangler: Terminal, at: Callable[[Phase], None]) -> None:
    at(SHADOW)
    shown = strangler("apply catalog.read shadow")
    assert shown.exit_code == 0
    assert shown.text == "catalog.read is at shadow already, and the gateway routes so. Nothing to do.\n"


def test_applying_all_goes_past_one_that_refuses_and_ends_with_its_code(
    desk: Desk, tmp_path: Path, world: FakeSurroundings
) -> None:
    world.seen = NO_EVIDENCE
    everything = replace(desk, config=wanted(tmp_path))
    transition.advance_at(everything, RUGS, SHADOW)
    transition.advance_at(everything, "reviews.read", SHADOW)
    shown = Terminal(everything)("apply")
    assert "4 gates hold catalog.read at shadow" in shown.text
    assert "use `strangler reverse reviews.read --to monolith`" in shown.text
    assert shown.exit_code == 4


def test_apply_as_json_is_the_transition(strangler: Terminal) -> None:
    done = json.loads(strangler("apply catalog.read shadow --json").text)
    assert (done["origin"], done["target"], done["state"]) == ("monolith", "shadow", "done")
    assert [effect["kind"] for effect in done["effects"]] == [
        "install_capture",
        "follow",
        "verify_rows",
        "publish_routes",
        "record_phase",
    ]


def test_waiting_tells_what_it_waits_for(
    strangler: Terminal, at: Callable[[Phase], None], world: FakeSurroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transition, "BETWEEN_LOOKS", 0.01)
    at(SHADOW)
    world.seen = [NO_EVIDENCE, FakeEvidence()]
    shown = strangler("apply catalog.read canary=10 --wait 5")
    assert shown.exit_code == 0
    assert shown.text.startswith("waiting: coverage: No requests have been captured in this phase.")


# ── reverse, history ─────────────────────────────────────────────────────────────────────────────


def test_reverse_says_what_it_did(strangler: Terminal, golden: Golden, at: Callable[[Phase], None]) -> None:
    at(TENTH)
    golden("reverse", strangler("reverse catalog.read").text)


def test_a_dry_run_of_reverse_changes_nothing(
    strangler: Terminal, golden: Golden, at: Callable[[Phase], None], desk: Desk
) -> None:
    at(TENTH)
    golden("reverse_dry_run", strangler("reverse catalog.read --to shadow --dry-run").text)
    assert desk.store.standing(RUGS).phase == TENTH


def test_cancel_says_what_stays(strangler: Terminal, golden: Golden, at: Callable[[Phase], None]) -> None:
    at(TENTH)
    shown = strangler("cancel catalog.read --dry-run")
    assert shown.exit_code == 0
    golden("cancel_dry_run", shown.text)
    golden("cancel", strangler("cancel catalog.read").text)


def test_history_tells_who_moved_what(
    strangler: Terminal, golden: Golden, world: FakeSurroundings, desk: Desk
) -> None:
    strangler("apply catalog.read shadow")
    world.refusal = "Envoy refused revision 2: unknown cluster."
    strangler("apply catalog.read canary=10", by="bert@loom")
    world.refusal = None
    desk.store.begin(desk.store.standing(RUGS), TENTH, "bert@loom", [])
    strangler("reverse catalog.read")
    text = strangler("history").text
    first = desk.store.history()[-1].id
    for number, transition_id in enumerate(range(first, first + 5), 1):
        text = text.replace(f"#{transition_id} ", f"#{number} ")
    golden("history", text)
    assert len(json.loads(strangler("history catalog.read --limit 2 --json").text)) == 2


def test_history_still_reads_when_a_kind_of_effect_is_no_more(strangler: Terminal, desk: Desk) -> None:
    desk.store.begin(desk.store.standing(RUGS), SHADOW, "anna@loom", [("copy_rows", {"owner": "monolith"})])
    assert "waiting: copy rows" in strangler("history").text


def test_history_of_nothing(strangler: Terminal) -> None:
    assert strangler("history").text == "Nothing has been moved yet.\n"


# ── What is refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verb", ["status", "plan", "apply", "reverse", "cancel", "history"])
def test_an_unknown_capability_is_refused_in_a_sentence(strangler: Terminal, verb: str) -> None:
    shown = strangler(f"{verb} rugs")
    assert shown.exit_code == 2
    assert "There is no capability 'rugs' in strangler.toml; it declares: catalog.read." in shown.text


@pytest.mark.parametrize("line", ["plan catalog.read swiched", "apply catalog.read swiched"])
def test_an_unknown_phase_is_refused_in_a_sentence(strangler: Terminal, line: str) -> None:
    shown = strangler(line)
    assert shown.exit_code == 2
    assert "There is no phase 'swiched'" in shown.text


def test_a_file_that_is_no_plan_is_refused_in_a_sentence(strangler: Terminal, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe")
    shown = strangler(f"apply --plan {tmp_path / 'plan.json'}")
    assert shown.exit_code == 2
    assert "This is no saved plan" in shown.text


def test_a_plan_that_can_not_be_saved_is_refused_in_a_sentence(strangler: Terminal, tmp_path: Path) -> None:
    shown = strangler(f"plan catalog.read --save {tmp_path / 'nowhere' / 'plan.json'}")
    assert shown.exit_code == 2
    assert "can't be written" in shown.text


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS["Move a capability"]])
def test_every_verb_has_a_help_and_takes_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_an_operator_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANGLER_OPERATOR", "anna")
    assert operators_name() == "anna"
    monkeypatch.delenv("STRANGLER_OPERATOR")
    assert "@" in operators_name()
