"""Equal answers have no difference; one change has exactly the path and the kind that it was made at."""

from __future__ import annotations

import copy
import json
import string
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from strangler.compare.observation import Answer, Sample
from strangler.compare.walk import bodies, differences, values

# A shared machine may be slow without anything being wrong.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.text(max_size=8)
scalars |= some.floats(allow_nan=False, allow_infinity=False, width=32)
keys = some.text(string.ascii_lowercase + "-. é", min_size=1, max_size=6)
documents = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(keys, inner, max_size=4),
    max_leaves=25,
)


def answer(body: object, status: int = 200, content_type: str = "application/json") -> Answer:
    return Answer("a home", status, content_type, body if isinstance(body, bytes) else orjson.dumps(body))


def found(control: object, candidate: object) -> list[tuple[str, str]]:
    return [(one.path, one.kind) for one in values(control, candidate)]


def shuffled_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled_keys(value[key]) for key in reversed(value)}
    return [shuffled_keys(one) for one in value] if isinstance(value, list) else value


@settings(patient)
@given(documents)
def test_a_document_equals_itself_however_it_is_written(document: Any) -> None:
    other = json.dumps(shuffled_keys(document), indent=1).encode()
    assert bodies(orjson.dumps(document), other) == ()
    assert bodies(orjson.dumps([document, document]), orjson.dumps([document, shuffled_keys(document)])) == ()


class Spot:
    """One place in a document: the container, the key in it, and how the walk writes the path."""

    def __init__(self, container: Any, key: Any, path: str) -> None:
        self.container, self.key, self.path = container, key, path


def spots(value: Any, path: str) -> list[Spot]:
    found = []
    if isinstance(value, dict):
        for key, inner in value.items():
            plain = key.replace("-", "_").isidentifier()
            beneath = f"{path}.{key}" if plain else f"{path}[{orjson.dumps(key).decode()}]"
            found += [Spot(value, key, beneath), *spots(inner, beneath)]
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += [Spot(value, index, f"{path}[]"), *spots(inner, f"{path}[]")]
    return found


def another_value(value: Any) -> tuple[Any, str]:
    """A value that differs in one respect, and the kind of that."""
    if isinstance(value, bool):
        return int(value), "type"  # True == 1 in Python, and not in JSON
    if isinstance(value, int):
        return value + 1, "value"
    if isinstance(value, float):
        return (value / 2 if value else 1.5), "value"
    if isinstance(value, str):
        return value + "!", "value"
    if isinstance(value, list):
        return [*value, "one more"], "length"
    return ({}, "type") if value is None else (None, "type")


@settings(patient, max_examples=400)
@given(documents.filter(lambda one: isinstance(one, (dict, list)) and one), some.data())
def test_one_planted_change_is_found_there_and_nowhere_else(document: Any, data: some.DataObject) -> None:
    # A key of its own at the root keeps the document a table, and its name out of the way.
    control = {"document": document}
    candidate = copy.deepcopy(control)
    spot = data.draw(some.sampled_from(spots(candidate, "$")))
    changed, kind = another_value(spot.container[spot.key])
    spot.container[spot.key] = changed
    assert found(control, candidate) == [(spot.path, kind)]


@settings(patient)
@given(documents.filter(lambda one: isinstance(one, dict)), some.data())
def test_a_lost_key_is_missing_and_a_new_one_extra(document: Any, data: some.DataObject) -> None:
    control = {"inner": document}
    tables = [spot for spot in spots(control, "$") if isinstance(spot.container, dict)]
    spot = data.draw(some.sampled_from(tables))
    whole = copy.deepcopy(control)
    del spot.container[spot.key]
    assert found(whole, control) == [(spot.path, "missing")]
    assert found(control, whole) == [(spot.path, "extra")]


@settings(patient)
@given(some.lists(documents, min_size=2, max_size=6, unique_by=lambda one: orjson.dumps(one)))
def test_the_same_elements_in_another_order_are_one_finding_at_the_list(elements: list[Any]) -> None:
    turned = [*elements[1:], elements[0]]
    assert found({"rugs": elements}, {"rugs": turned}) == [("$.rugs", "order")]


@pytest.mark.parametrize(
    ("control", "candidate", "kind"),
    [
        (1, 1.0, "type"),
        (1, "1", "type"),
        (1.0, "1.00", "type"),
        (1, True, "type"),
        (0, False, "type"),
        (None, False, "type"),
        ("49.90", "49.9", "value"),
        ([], {}, "type"),
        ([1, 2], [1], "length"),
        ([1, 1, 2], [1, 2, 2], "value"),
    ],
)
def test_json_values_that_python_or_a_reader_might_confuse_are_told_apart(
    control: object, candidate: object, kind: str
) -> None:
    assert {one[1] for one in found({"price": control}, {"price": candidate})} == {kind}


def test_rows_with_ids_are_compared_with_their_own_counterparts() -> None:
    rugs = [{"id": number, "price": f"{number}.00"} for number in range(5)]
    cheaper = copy.deepcopy(rugs)
    cheaper[3]["price"] = "1.99"
    assert found(rugs, cheaper[::-1]) == [("$", "order"), ("$[].price", "value")]


def test_one_row_more_is_a_length_and_the_others_are_still_compared() -> None:
    rugs = [{"id": number, "price": f"{number}.00"} for number in range(5)]
    dearer = copy.deepcopy(rugs[1:])
    dearer[2]["price"] = "9.00"
    assert found(rugs, dearer) == [("$", "length"), ("$[].price", "value")]


def test_another_row_in_a_page_is_named_by_its_id_alone() -> None:
    page = [{"id": number, "price": f"{number}.00", "name": f"RUG-{number}"} for number in range(5)]
    shifted = [{"id": number, "price": f"{number}.00", "name": f"RUG-{number}"} for number in range(1, 6)]
    assert found(page, shifted) == [("$[].id", "value")]


def test_a_status_stands_alone_and_says_both() -> None:
    (one,) = differences(answer({"detail": "Not found."}, 404), answer({"id": 31}, 200))
    assert (one.path, one.kind, one.samples) == ("status", "status", (Sample("404", "200"),))
    assert one.opens
    (other,) = differences(answer({"id": 31}, 200), answer({"detail": "Not found."}, 404))
    assert not other.opens


def test_content_types_are_compared_by_meaning() -> None:
    same = answer({}, content_type="Application/JSON;charset=UTF-8")
    assert differences(answer({}, content_type="application/json; charset=utf-8"), same) == ()
    (one,) = differences(answer({}), answer({}, content_type="text/html"))
    assert (one.path, one.kind) == ("content-type", "header")


def test_a_body_that_is_no_json_is_one_value() -> None:
    assert differences(answer(b"<p>a"), answer(b"<p>a")) == ()
    (one,) = differences(answer(b"<p>a"), answer(b"<p>b"))
    assert (one.path, one.kind) == ("$", "value")
    (half,) = differences(answer(b"{}"), answer(b"{"))
    assert (half.path, half.kind) == ("$", "value")


def test_a_body_nested_deeper_than_the_walk_goes_is_one_value() -> None:
    deep, other = (b'{"a":' * 600 + leaf + b"}" * 600 for leaf in (b"1", b"2"))
    (one,) = bodies(deep, other)
    assert (one.path, one.kind) == ("$", "value")


def test_samples_are_few_and_short_and_the_count_is_whole() -> None:
    control = [{"id": n, "name": "x" * 1000} for n in range(50)]
    candidate = [{"id": n, "name": "y" * 1000} for n in range(50)]
    (one,) = values(control, candidate)
    assert one.count == 50
    assert len(one.samples) == 3
    assert all(len(sample.control or "") <= 200 for sample in one.samples)
