"""`strangler contracts`: what is printed, and the exit codes"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.contracts import running
from strangler.contracts.commands import contracts
from strangler.contracts.ledger import Ledger
from strangler.errors import StranglerError
from strangler.run import session
from strangler.run.system import System
from tests.strangler.contracts.conftest import RUG, Rugs

BROKEN = {"id": 7, "price": "12.50"}
Type = Callable[..., Result]


@pytest.fixture
def type_in(rugs: Rugs, system: System, book: Ledger, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types `strangler contracts …` where a system runs, of which the homes are in versions m1 and s1."""
    monkeypatch.setattr(session, "find", lambda config: system)
    monkeypatch.setattr(session, "running_system", lambda config, quiet=False: nullcontext(system))
    monkeypatch.setattr(
        "strangler.contracts.commands.running_versions", lambda *_: {"monolith": "m1", "loom": "s1"}
    )
    monkeypatch.setattr(running, "running_versions", lambda *_: {"monolith": "m1", "loom": "s1"})
    monkeypatch.setenv("STRANGLER_OPERATOR", "anna@loom")

    def run(*words: str) -> Result:
        result = CliRunner().invoke(contracts, list(words), obj=rugs.root)
        if result.exception and not isinstance(result.exception, (SystemExit, StranglerError)):
            raise result.exception
        return result

    return run


def code(result: Result) -> int:
    error = result.exception
    return error.exit_code if isinstance(error, StranglerError) else result.exit_code


def test_what_holds_is_green_recorded_and_deployable(type_in: Type, rugs: Rugs) -> None:
    rugs.config()
    assert code(type_in("can-i-deploy")) == 4
    done = type_in("verify")
    assert (code(done), "4 interactions ran and hold." in done.output) == (0, True)
    asked = type_in("can-i-deploy", "--json")
    assert code(asked) == 4  # of rugs.events nobody has said what is needed
    verdicts = {one["provider"]: one for one in json.loads(asked.stdout)["providers"]}
    assert verdicts["rugs.read"]["deployable"] is True
    assert "No consumer of rugs.events" in verdicts["rugs.events"]["reasons"][0]
    only = type_in("can-i-deploy", "--home", "loom")
    assert (code(only), "each pass the 2 interactions" in only.output) == (0, True)
    assert code(type_in("can-i-deploy", "--home", "loom", "--version", "s2")) == 4


def test_a_renamed_field_is_a_red_row_under_its_home_and_a_sentence(type_in: Type, rugs: Rugs) -> None:
    rugs.config(loom=BROKEN)
    done = type_in("verify", "rugs")
    assert code(done) == 1
    rows = {
        line.split("a rug's")[0].split()[0]: line for line in done.output.splitlines() if "a rug's" in line
    }
    assert rows["bazaar"].count("✓") == 2
    assert (rows["museum"].count("✓"), rows["museum"].count("✗")) == (1, 1)
    assert "✗ loom breaks what museum needs of rugs.read: a rug's name" in done.output
    no = type_in("can-i-deploy", "--home", "loom")
    assert (code(no), "loom s1 breaks museum's pact with rugs.read: a rug's name" in no.output) == (4, True)


@pytest.mark.parametrize("words", [("verify", "carpets"), ("verify", "--home", "nowhere")])
def test_nothing_that_ran_ends_with_2(type_in: Type, rugs: Rugs, words: tuple[str, ...]) -> None:
    rugs.config()
    assert code(type_in(*words)) == 2


def test_pacts_without_interactions_end_with_2(type_in: Type, rugs: Rugs) -> None:
    for consumer in ("bazaar", "museum"):
        rugs.pact(consumer, "rugs.read")
    rugs.config()
    assert code(type_in("verify")) == 2
    assert code(type_in("can-i-deploy")) == 4


def test_a_run_from_elsewhere_is_taken_in(type_in: Type, rugs: Rugs, tmp_path: Path) -> None:
    rugs.config()
    printed = type_in("verify", "--json").stdout
    (tmp_path / "run.json").write_text(printed.replace('"s1"', '"s7"'))
    assert code(type_in("record", str(tmp_path / "run.json"))) == 0
    assert code(type_in("can-i-deploy", "--home", "loom", "--version", "s7")) == 0


def test_what_is_deployed_is_recorded_and_shown(type_in: Type, rugs: Rugs) -> None:
    rugs.config()
    shown = json.loads(type_in("deployed", "--json").stdout)
    assert {(one["home"], one["version"], one["by"]) for one in shown} == {
        ("monolith", "m1", "anna@loom"),
        ("loom", "s1", "anna@loom"),
    }


def test_comparing_says_what_no_consumer_names(type_in: Type, rugs: Rugs) -> None:
    rugs.config(loom=RUG | {"knots": 4711})
    shown = type_in("compare")
    assert code(shown) == 1
    assert "$.knots" in shown.output
    assert "no consumer" in shown.output
    rugs.config()
    assert code(type_in("compare")) == 0
