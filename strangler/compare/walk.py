"""Two answers in, their differences out: equal bytes, else equal as parsed, else field by field.

The tiers come in order of their cost, so that what is mostly equal is compared at the speed of bytes.
Equality is JSON's, not Python's: 1, 1.0, true and "1.00" are four values. Two texts of one number are one
value (1.0 and 1.00), and whole numbers beyond 64 bits are compared as floats, as orjson reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from strangler.compare.observation import SAMPLES_PER_DIFFERENCE, Answer, Difference, Kind, Sample

SIGNATURES = 200  # a pair of answers with more differing fields than this is cut off here
SAMPLE_LENGTH = 200  # characters of one side of a sample

_SCALARS = (int, str)
_NOTHING = object()


def differences(control: Answer, candidate: Answer) -> tuple[Difference, ...]:
    """Every field in which the candidate's answer differs, sorted by path and kind; empty means same.

    A differing status stands alone: the bodies of a 200 and a 404 have nothing in common worth naming.
    """
    if control.status != candidate.status:
        sample = Sample(str(control.status), str(candidate.status))
        return (Difference("status", "status", (sample,)),)
    found: tuple[Difference, ...] = ()
    if control.content_type != candidate.content_type:
        ours, theirs = _media_type(control.content_type), _media_type(candidate.content_type)
        if ours != theirs:
            found = (Difference("content-type", "header", (Sample(ours, theirs),)),)
    if control.body == candidate.body:
        return found
    return found + bodies(control.body, candidate.body)


def bodies(control: bytes, candidate: bytes) -> tuple[Difference, ...]:
    """The differing fields of two bodies. A body that isn't JSON is one value at `$`."""
    try:
        ours, theirs = orjson.loads(control), orjson.loads(candidate)
        return values(ours, theirs)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        # Not JSON, or nested deeper than orjson and Python go: the bytes differ, no more can be said.
        if control == candidate:
            return ()
        sides = (one[:SAMPLE_LENGTH].decode("utf-8", "replace") for one in (control, candidate))
        return (Difference("$", "value", (Sample(*sides),)),)


def values(control: Any, candidate: Any) -> tuple[Difference, ...]:
    """The differing fields of two parsed JSON values."""
    # Python's == runs in C but takes 1, 1.0 and True for equal; their JSON texts tell them apart.
    if control == candidate and orjson.dumps(control) == orjson.dumps(candidate):
        return ()
    findings = _Findings()
    findings.value(control, candidate, "$")
    return findings.sorted()


class _Findings:
    """Collects differences per (path, kind) while it walks two values side by side."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, Kind], tuple[int, list[Sample]]] = {}

    def sorted(self) -> tuple[Difference, ...]:
        return tuple(
            Difference(path, kind, tuple(samples), count)
            for (path, kind), (count, samples) in sorted(self.found.items())
        )

    def add(self, path: str, kind: Kind, control: Any, candidate: Any) -> None:
        count, samples = self.found.get((path, kind), (0, []))
        if not count and len(self.found) >= SIGNATURES:
            return
        if count < SAMPLES_PER_DIFFERENCE:
            samples.append(Sample(text(control), text(candidate)))
        self.found[path, kind] = (count + 1, samples)

    def value(self, control: Any, candidate: Any, path: str) -> None:
        kind = type(control)
        if kind is not type(candidate):
            self.add(path, "type", control, candidate)
        elif kind is dict:
            self.table(control, candidate, path)
        elif kind is list:
            self.sequence(control, candidate, path)
        elif control != candidate:
            self.add(path, "value", control, candidate)

    def table(self, control: dict[str, Any], candidate: dict[str, Any], path: str) -> None:
        for key, ours in control.items():
            theirs = candidate.get(key, _NOTHING)
            if theirs is _NOTHING:
                self.add(_beneath(path, key), "missing", ours, _NOTHING)
            elif ours is not theirs and (ours != theirs or type(ours) is not str):
                self.value(ours, theirs, _beneath(path, key))
        if control.keys() != candidate.keys():
            for key, theirs in candidate.items():
                if key not in control:
                    self.add(_beneath(path, key), "extra", _NOTHING, theirs)

    def sequence(self, control: list[Any], candidate: list[Any], path: str) -> None:
        dumps = orjson.dumps
        if len(control) != len(candidate):
            self.add(path, "length", len(control), len(candidate))
            self.by_id(control, candidate, path)
            return
        apart = [
            (ours, theirs)
            for ours, theirs in zip(control, candidate, strict=True)
            if ours is not theirs and dumps(ours) != dumps(theirs)
        ]
        if len(apart) == 1:
            self.value(*apart[0], f"{path}[]")
        elif apart:
            ours, theirs = ([pair[side] for pair in apart] for side in (0, 1))
            if sorted(map(_canonical, ours)) == sorted(map(_canonical, theirs)):
                # Equal element by element once the order of keys is left out of it, or else another order.
                if any(_canonical(one) != _canonical(two) for one, two in apart):
                    self.add(path, "order", control, candidate)
            elif not self.by_id(control, candidate, path):
                for one, two in apart:
                    self.value(one, two, f"{path}[]")

    def by_id(self, control: list[Any], candidate: list[Any], path: str) -> bool:
        """Compare the elements that carry the same id on both sides, wherever they stand.

        Without it, one row more at the head of a list would make every field of every row differ. Where
        both lists are equally long, rows without a counterpart are named by their ids alone: they are other
        rows. Returns False, with nothing done, where the elements have no ids or share none.
        """
        ours, theirs = _ids(control), _ids(candidate)
        shared = ours.keys() & theirs.keys()
        if not shared:
            return False
        if [key for key in ours if key in shared] != [key for key in theirs if key in shared]:
            self.add(path, "order", control, candidate)
        for key, one in ours.items():
            if key in shared and orjson.dumps(one) != orjson.dumps(theirs[key]):
                self.value(one, theirs[key], f"{path}[]")
        if len(control) == len(candidate):
            lost = [key for key in ours if key not in shared]
            come = [key for key in theirs if key not in shared]
            for (_, one), (_, two) in zip(lost, come, strict=True):
                self.value(one, two, f"{path}[].id")
        return True


def _ids(elements: Sequence[Any]) -> dict[tuple[type, Any], Any]:
    """The elements by (type, id); empty unless each is a table with an id of its own."""
    found = {}
    for element in elements:
        key = element.get("id") if type(element) is dict else None
        if type(key) not in _SCALARS:
            return {}
        found[type(key), key] = element
    return found if len(found) == len(elements) else {}


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _beneath(path: str, key: str) -> str:
    plain = key.replace("-", "_").isidentifier()
    return f"{path}.{key}" if plain else f"{path}[{orjson.dumps(key).decode()}]"


def _media_type(header: str) -> str:
    """A content type in one spelling: `Text/HTML;charset=UTF-8` is `text/html; charset=utf-8`."""
    return "; ".join(part.strip().lower() for part in header.split(";") if part.strip())


def text(value: Any) -> str | None:
    """A value as the short text that a sample shows; None stands for a side that has nothing."""
    if value is _NOTHING:
        return None
    if type(value) is list and value and type(value[0]) is dict and _ids(value):
        value = {"ids": [one["id"] for one in value]}
    written = orjson.dumps(value).decode()
    return written if len(written) <= SAMPLE_LENGTH else written[: SAMPLE_LENGTH - 1] + "…"
