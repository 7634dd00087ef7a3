"""Both homes' whole answers held against each other: what no consumer names is found too."""

from __future__ import annotations

import pytest

from strangler.contracts.compare import compare, names
from strangler.contracts.errors import CouldNotVerify
from strangler.contracts.pacts import Interaction
from strangler.contracts.text import compared_json
from strangler.contracts.verify import pacts_of
from tests.strangler.contracts.conftest import RUG, Rugs, interaction, message


def test_an_extra_field_and_a_missing_one_are_found_though_nobody_reads_them(rugs: Rugs) -> None:
    config = rugs.config(monolith=RUG | {"weaver": "Ada"}, loom=RUG | {"knots": 4711})
    found = compared_json(compare(config, pacts_of(config)))
    assert found["interactions"] == 2
    for one in found["differing"]:
        assert [(field["path"], field["kind"], field["named"]) for field in one["fields"]] == [
            ("$.knots", "extra", False),
            ("$.weaver", "missing", False),
        ]


def test_a_value_that_a_consumer_names_is_said_to_be_its(rugs: Rugs) -> None:
    config = rugs.config(loom=RUG | {"price": "13.00"})
    found = compared_json(compare(config, pacts_of(config)))["differing"]
    by_consumer = {one["consumer"]: one["fields"][0] for one in found}
    assert by_consumer["bazaar"]["named"] is True
    assert by_consumer["museum"]["named"] is False
    assert (by_consumer["bazaar"]["monolith"], by_consumer["bazaar"]["loom"]) == ('"12.50"', '"13.00"')


def test_a_question_is_asked_with_its_query_and_as_its_caller(rugs: Rugs) -> None:
    rugs.pact("bazaar", "rugs.read", interaction("red rugs", {"id": 7}, path="/rugs/", colour="red"))
    config = rugs.config()
    assert [one.found for one in compare(config, pacts_of(config))] == [(), ()]


def test_where_only_messages_are_there_is_nothing_to_compare(rugs: Rugs) -> None:
    rugs.pact("museum", "rugs.events", message("a rug was sold", {"id": 7}))
    config = rugs.config()
    with pytest.raises(CouldNotVerify, match="two homes"):
        compare(config, pacts_of(config, "rugs.events"))


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("status", True),
        ("$.results[].seller.name", True),
        ("$.results[].seller", True),
        ("$.results[].seller.slug", False),
        ('$.results[]["odd name"]', True),
        ("$.results[].id.x", False),
        ("$.next", False),
    ],
)
def test_a_field_is_named_where_the_expected_answer_has_it(path: str, named: bool) -> None:
    body = {"results": [{"id": 7, "odd name": 1, "seller": {"name": "Rugs and Rotors"}}]}
    one = Interaction("a", interaction("a", body))
    assert names(one, path) is named
