"""Whether a version may be routed to: yes on evidence alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strangler.contracts.deciding import Verdict, decide
from strangler.contracts.ledger import Published, Result

HOMES = ("monolith", "loom")
VERSIONS = {"monolith": "m1", "loom": "s1"}
CONSUMERS = {"bazaar": "monolith", "museum": "monolith"}
PACTS = [Published("bazaar", "m1", "rugs.read", "p1"), Published("museum", "m1", "rugs.read", "p2")]
RESULTS = [
    Result(pact.consumer, "rugs.read", pact.hash, home, VERSIONS[home], 3, {})
    for pact in PACTS
    for home in HOMES
]


def verdict(**other: Any) -> Verdict:
    known: dict[str, Any] = {"versions": VERSIONS, "published": PACTS, "results": RESULTS} | other
    return decide("rugs.read", HOMES, known["versions"], CONSUMERS, known["published"], known["results"])


def test_versions_that_passed_everything_may_be_routed_to() -> None:
    assert verdict() == Verdict(
        "rugs.read",
        True,
        ("monolith m1 and loom s1 each pass the 6 interactions that bazaar and museum need.",),
    )


@pytest.mark.parametrize("home", HOMES)
def test_another_version_than_the_verified_one_may_not(home: str) -> None:
    found = verdict(versions=VERSIONS | {home: "other"})
    assert not found.deployable
    assert any(f"{home} other" in reason for reason in found.reasons)


@pytest.mark.parametrize("version", [None, ""])
@pytest.mark.parametrize("home", HOMES)
def test_a_home_that_does_not_say_its_version_may_not(home: str, version: str | None) -> None:
    assert f"which version of {home}" in verdict(versions=VERSIONS | {home: version}).sentence


@pytest.mark.parametrize("missing", range(len(RESULTS)))
def test_every_pact_must_have_been_run_at_both_homes(missing: int) -> None:
    found = verdict(results=[one for n, one in enumerate(RESULTS) if n != missing])
    left_out = RESULTS[missing]
    assert found.reasons == (
        f"{left_out.home} {left_out.version} was never verified against {left_out.consumer}'s pact with "
        f"rugs.read ({left_out.hash}); `strangler contracts verify` finds out.",
    )


@pytest.mark.parametrize("broken", range(len(RESULTS)))
def test_one_broken_interaction_is_a_no_that_names_the_consumer(broken: int) -> None:
    result = replace(RESULTS[broken], failed={"a rug's name": ["$.name: it is gone."]})
    (reason,) = verdict(results=[result if n == broken else one for n, one in enumerate(RESULTS)]).reasons
    assert f"{result.home} {result.version} breaks {result.consumer}'s pact" in reason
    assert "a rug's name ($.name: it is gone)" in reason


def test_a_run_of_nothing_is_a_no() -> None:
    results = [replace(RESULTS[0], interactions=0), *RESULTS[1:]]
    assert "nothing ran" in verdict(results=results).sentence


def test_no_consumer_at_all_is_a_no() -> None:
    other = [replace(pact, provider="rugs.events") for pact in PACTS]
    assert "No consumer of rugs.read is recorded" in verdict(published=other).sentence
    assert not verdict(published=[]).deployable


def test_a_consumer_that_was_never_recorded_in_its_version_is_a_no() -> None:
    found = verdict(published=PACTS[:1])
    assert found.reasons == (
        "No pact of museum is recorded for monolith m1, with which it is deployed; "
        "`strangler contracts verify` finds out.",
    )


def test_a_consumer_of_something_else_is_none_of_this_providers() -> None:
    published = [PACTS[0], replace(PACTS[1], provider="rugs.events")]
    assert verdict(published=published, results=RESULTS[:2]).deployable


def test_a_pact_that_has_changed_must_be_run_anew() -> None:
    published = [replace(PACTS[0], hash="p9"), PACTS[1]]
    assert "never verified" in verdict(published=published).sentence


def test_the_sentence_counts_the_other_reasons() -> None:
    assert "And 3 more: `strangler contracts can-i-deploy`." in verdict(results=[]).sentence
