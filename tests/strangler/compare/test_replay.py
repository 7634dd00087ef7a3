"""A replay against two real homes finds each seeded bug by route and field, and nothing where none is."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from strangler.compare import evidence
from strangler.compare.errors import CouldNotCompare
from strangler.compare.evidence import Evidence
from strangler.compare.observation import ANONYMOUS, Caller
from strangler.compare.replay import replay
from tests.strangler.compare.conftest import HOST, Project, everything

LIST, ONE = "GET /api/rugs/", "GET /api/rugs/<int:pk>/"

# What each seeded bug must be found as: (route, path, kind), and whether it is critical.
FINDINGS = {
    "price": {(LIST, "$.results[].price", "value", True), (ONE, "$.price", "value", True)},
    "field": {(LIST, "$.results[].stock", "missing", False), (ONE, "$.stock", "missing", False)},
    "order": {(LIST, "$.results", "order", False)},
    "status": {(ONE, "status", "status", False)},
    "draft": {(ONE, "status", "status", True)},
}

Make = Callable[..., Project]


def replayed(project: Project) -> Evidence:
    recorded = project.record(everything())
    capability = project.config.capability("rugs.read")
    return evidence.of_tally(asyncio.run(replay(project.config, project.system, capability, recorded)))


def located(seen: Evidence) -> set[tuple[str, str, str, bool]]:
    return {
        (one.route, one.path, one.kind, one.critical) for one in seen.fields if one.verdict == "different"
    }


@pytest.mark.parametrize("bug", FINDINGS)
def test_a_seeded_bug_is_found_and_located(project: Make, bug: str) -> None:
    seen = replayed(project(bug=bug))
    assert located(seen) == FINDINGS[bug]
    assert seen.different
    assert {one.verdict for one in seen.fields} == {"different"}


def test_a_lost_permission_is_shown_with_who_saw_what(project: Make) -> None:
    seen = replayed(project(bug="draft"))
    (one,) = seen.fields
    assert {sample.caller for sample in one.samples} <= {"anonymous", "buyer"}
    assert {(sample.control, sample.candidate) for sample in one.samples} == {("404", "200")}
    assert one.requests == 4  # two drafts, seen by anonymous and by a buyer


def test_a_tripled_latency_is_found_by_route(project: Make) -> None:
    seen = replayed(project(bug="slow"))
    assert seen.different == 0
    assert [one.route for one in seen.slower(0.5)] == [LIST]


def test_equal_homes_are_the_same(project: Make) -> None:
    homes = project()
    seen = replayed(homes)
    assert (seen.same, seen.comparable, seen.coverage) == (len(everything()), len(everything()), 1.0)
    assert (seen.fields, seen.slower(0.5)) == ((), ())
    assert seen.shapes == len(everything())


def test_both_homes_are_asked_as_the_recorded_caller_at_the_gateway_s_name(project: Make) -> None:
    homes = project()
    replayed(homes)
    for home in (homes.control, homes.candidate):
        assert {host for _, host, _ in home.asked} == {HOST}
        assert {target for target, _, _ in home.asked} == {target for target, _ in everything()}
    assert sorted(homes.control.asked) == sorted(homes.candidate.asked)


def test_a_clock_is_excused_because_the_control_differs_from_itself(project: Make) -> None:
    seen = replayed(project(quirk="clock"))
    assert seen.different == 0
    assert seen.excused > 0
    assert {(one.path, one.verdict) for one in seen.fields} == {("$.served", "excused")}


def test_a_clock_does_not_hide_a_wrong_price(project: Make) -> None:
    homes = project(bug="price", quirk="clock")
    assert located(replayed(homes)) == FINDINGS["price"]


def test_a_candidate_that_is_right_the_second_time_wavers_and_differs(project: Make) -> None:
    homes = project(bug="late")
    recorded = homes.record([("/api/rugs/7/", ANONYMOUS), ("/api/rugs/99/", ANONYMOUS)])
    capability = homes.config.capability("rugs.read")
    seen = evidence.of_tally(asyncio.run(replay(homes.config, homes.system, capability, recorded)))
    assert (seen.settled, seen.same, seen.different) == (0, 1, 1)
    assert [(one.path, one.verdict) for one in seen.fields] == [("$.price", "different")]


def test_a_declared_ignore_is_counted_and_visible_until_it_expires(project: Make) -> None:
    homes = project(bug="field")
    declared = """
        [[compare.ignore]]
        route = "*"
        path = "{path}"
        reason = "stock moves to inventory"
        until = {until}
    """
    both = [("$.stock", "2999-01-31"), ("$.results[].stock", "2020-01-31")]
    homes.declare(ignores="".join(declared.format(path=path, until=until) for path, until in both))
    seen = replayed(homes)
    assert {(one.route, one.verdict, one.reason) for one in seen.fields} == {
        (ONE, "ignored", "stock moves to inventory"),
        (LIST, "different", ""),
    }
    assert seen.ignored > 0


def test_a_home_that_is_away_is_a_sentence_and_no_result(project: Make) -> None:
    homes = project()
    homes.candidate.stop()
    with pytest.raises(CouldNotCompare, match="Couldn't ask service: the first 5 requests had no answer"):
        replayed(homes)


def test_a_home_that_nobody_started_is_a_sentence(project: Make) -> None:
    homes = project()
    capability = homes.config.capability("rugs.read")
    system = dataclasses.replace(homes.system, homes={"monolith": homes.control.url})
    with pytest.raises(CouldNotCompare, match="service isn't running"):
        asyncio.run(replay(homes.config, system, capability, homes.record(everything())))


def test_tokens_that_cannot_be_had_are_a_sentence_with_the_command_s_last_words(project: Make) -> None:
    homes = project()
    (homes.root / "tokens.py").write_text("raise SystemExit('no key in identity.jwk')")
    with pytest.raises(
        CouldNotCompare, match=r"ended with 1 and gave 0 of 2 tokens: no key in identity\.jwk"
    ):
        replayed(homes)
    assert homes.control.asked == []


def test_a_caller_without_a_token_is_counted_and_not_asked_as_somebody_else(project: Make) -> None:
    homes = project()
    (homes.root / "tokens.py").write_text("import sys; [print() for _ in sys.stdin]")
    recorded = homes.record([("/api/rugs/7/", Caller("buyer", "gone")), ("/api/rugs/7/", ANONYMOUS)])
    capability = homes.config.capability("rugs.read")
    seen = evidence.of_tally(asyncio.run(replay(homes.config, homes.system, capability, recorded)))
    assert seen.reasons == {"no token for the caller": 1}
    assert {authorization for _, _, authorization in homes.candidate.asked} == {""}


def test_requests_of_no_route_are_left_out(project: Make) -> None:
    homes = project()
    capability = homes.config.capability("rugs.read")
    stray = dataclasses.replace(homes.record(everything())[0], target="/api/carpets/")
    with pytest.raises(CouldNotCompare, match="None of the 1 recorded requests belongs to a route"):
        asyncio.run(replay(homes.config, homes.system, capability, [stray]))
    assert homes.control.asked == []
