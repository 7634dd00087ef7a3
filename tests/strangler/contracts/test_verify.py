"""Pacts run against both homes: exactly what breaks turns red, and nothing that didn't run is green."""

from __future__ import annotations

from typing import Any

import pytest

from strangler.contracts.errors import CouldNotVerify
from strangler.contracts.pacts import parse
from strangler.contracts.text import verification_from_json, verification_json
from strangler.contracts.verify import NOT_RUN, Outcome, Verification, findings, pacts_of, verify
from tests.strangler.contracts.conftest import RUG, Rugs, interaction, message, pact_text

RENAMED = {"id": 7, "title": "Garish Rug", "price": "12.50"}


def red(done: Verification) -> set[tuple[str, str, str]]:
    return {(one.home, one.pact.consumer, name) for one in done.outcomes for name in one.failed}


def test_both_homes_keep_what_both_consumers_need(rugs: Rugs) -> None:
    done = verify(rugs.config())
    assert done.passed
    assert done.interactions == 4
    assert done.versions == {"monolith": "m1", "loom": "s1"}


@pytest.mark.parametrize("home", ["monolith", "loom"])
def test_a_renamed_field_turns_exactly_that_row_red_and_names_the_consumer(rugs: Rugs, home: str) -> None:
    answers: dict[str, Any] = {home: RENAMED}
    done = verify(rugs.config(**answers))
    assert red(done) == {(home, "museum", "a rug's name")}
    assert not done.passed
    (outcome,) = (one for one in done.outcomes if one.failed)
    assert "name" in outcome.findings["a rug's name"][0]


def test_a_message_is_held_to_what_is_read_of_it(rugs: Rugs) -> None:
    rugs.pact("museum", "rugs.events", message("a rug was sold", {"id": 7, "name": "Garish Rug"}))
    done = verify(rugs.config(monolith={"id": 7, "name": "Garish Rug"}), "rugs.events")
    assert (done.passed, done.interactions) == (True, 1)
    done = verify(rugs.config(monolith={"id": 7}), "rugs.events")
    assert red(done) == {("monolith", "museum", "a rug was sold")}


def test_one_home_alone_may_be_asked(rugs: Rugs) -> None:
    done = verify(rugs.config(loom=RENAMED), only="monolith")
    assert (done.passed, {one.home for one in done.outcomes}) == (True, {"monolith"})


def test_a_state_that_can_not_be_brought_about_is_a_failure_with_its_reason(rugs: Rugs) -> None:
    done = verify(rugs.config(failing="a rug exists"))
    assert red(done) == {("monolith", "bazaar", "a rug's price"), ("monolith", "museum", "a rug's name")}
    reasons = {one for outcome in done.outcomes for found in outcome.findings.values() for one in found}
    assert reasons == {"One or more of the setup state change handlers has failed"}


# ── Nothing ran ──────────────────────────────────────────────────────────────────────────────────


def test_an_empty_folder_is_no_success(rugs: Rugs) -> None:
    for file in (rugs.root / "pacts").iterdir():
        file.unlink()
    with pytest.raises(CouldNotVerify, match="an empty run proves nothing"):
        verify(rugs.config())


def test_a_provider_that_nobody_knows_is_no_success(rugs: Rugs) -> None:
    rugs.pact("bazaar", "rugs.raed", interaction("a rug's price", {"price": "12.50"}))
    with pytest.raises(CouldNotVerify, match=r"'rugs\.raed', which is no capability"):
        verify(rugs.config())


def test_a_filter_without_a_hit_is_no_success(rugs: Rugs) -> None:
    with pytest.raises(CouldNotVerify, match="No consumer has a pact with 'carpets'"):
        verify(rugs.config(), "carpets")


def test_a_home_that_answers_for_none_of_them_is_no_success(rugs: Rugs) -> None:
    rugs.pact("museum", "rugs.events", message("a rug was sold", {"id": 7}))
    with pytest.raises(CouldNotVerify, match="loom answers for none of these pacts"):
        verify(rugs.config(), "rugs.events", only="loom")


def test_a_pact_without_interactions_is_no_success(rugs: Rugs) -> None:
    rugs.pact("museum", "rugs.read")
    done = verify(rugs.config())
    assert not done.passed
    assert [one.passed for one in done.outcomes if one.pact.consumer == "museum"] == [False, False]


def test_an_interaction_that_did_not_run_has_not_passed() -> None:
    pact = parse(pact_text("bazaar", "rugs.read", interaction("a", {}), interaction("b", {})), "here")
    found = findings(pact, {"interactionResults": [{"description": "a", "result": "OK"}]})
    assert found == {"a": (), "b": (NOT_RUN,)}
    outcome = Outcome(pact, "loom", "s1", found)
    assert (outcome.passed, outcome.ran, outcome.failed) == (False, 1, ("b",))
    assert not Verification((), {}, ()).passed


def test_a_consumer_that_is_deployed_nowhere_is_refused(rugs: Rugs) -> None:
    rugs.pact("stranger", "rugs.read", interaction("a rug", {"id": 7}))
    with pytest.raises(CouldNotVerify, match="doesn't say where that is deployed"):
        pacts_of(rugs.config())


def test_a_home_that_does_not_start_says_so_with_its_log(rugs: Rugs) -> None:
    config = rugs.config(loom=RUG)
    text = (rugs.root / "strangler.toml").read_text().replace('"{port}", "s1"', '"no port", "s1"')
    (rugs.root / "strangler.toml").write_text(text)
    from strangler import config as project

    config = project.load(rugs.root)
    with pytest.raises(CouldNotVerify, match=r"(?s)home loom couldn't be served.*invalid literal for int"):
        verify(config)


# ── As JSON ──────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_the_same_after_it_was_printed(rugs: Rugs) -> None:
    import json

    done = verify(rugs.config(loom=RENAMED))
    again = verification_from_json(json.dumps(verification_json(done)))
    assert (red(again), again.interactions, again.versions) == (red(done), 4, done.versions)
    assert [pact.hash for pact in again.pacts] == [pact.hash for pact in done.pacts]


def test_a_printed_run_that_leaves_something_out_is_refused(rugs: Rugs) -> None:
    import json

    printed = verification_json(verify(rugs.config(loom=RENAMED)))
    printed["outcomes"][0]["findings"] = {}
    with pytest.raises(CouldNotVerify, match="other interactions"):
        verification_from_json(json.dumps(printed))
