"""A pact file in its one form, and the hash of what matters in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strangler.contracts.errors import CouldNotVerify
from strangler.contracts.pacts import canonical, parse, read_all
from tests.strangler.contracts.conftest import interaction, pact_text

A, B = interaction("a", {"id": 7}), interaction("b", {"id": 8})


def test_a_pact_has_one_form_whatever_order_it_was_written_in() -> None:
    one, other = pact_text("bazaar", "rugs.read", A, B), pact_text("bazaar", "rugs.read", B, A)
    assert one == other == canonical(one)
    assert one.endswith("}\n")
    assert "pactRust" not in one


def test_what_the_library_notes_down_for_itself_is_left_out() -> None:
    noted = [A | {"pending": False, "key": "7f1d"}]
    assert pact_text("bazaar", "rugs.read", *noted) == pact_text("bazaar", "rugs.read", A)


def test_the_hash_is_of_what_is_asked_alone() -> None:
    text = pact_text("bazaar", "rugs.read", A)
    same = parse(json.dumps(json.loads(text)), "here").hash
    assert parse(text, "here").hash == same
    assert parse(pact_text("museum", "rugs.read", A), "here").hash == same
    assert parse(pact_text("bazaar", "rugs.read", B), "here").hash != same


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"consumer": {"name": "bazaar"}}'])
def test_what_is_no_pact_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "rug.json").write_text(text)
    with pytest.raises(CouldNotVerify, match=r"rug\.json isn't a pact"):
        read_all(tmp_path)


def test_two_interactions_of_one_description_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rug.json").write_text(pact_text("bazaar", "rugs.read", A, A | {"response": {"status": 404}}))
    with pytest.raises(CouldNotVerify, match="'a' twice"):
        read_all(tmp_path)
