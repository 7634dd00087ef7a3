"""Comparing two answers of about 5 KB: ours against deepdiff, interleaved, medians of CPU time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from deepdiff import DeepDiff

from strangler.compare.observation import Answer
from strangler.compare.walk import differences
from tests.benchmarks.table import Row, interleaved

ROUNDS = 7
UNIT = "comparisons per CPU-second"


def page() -> dict[str, Any]:
    """A page of twenty rugs, 4.8 KB as JSON."""
    rugs = [
        {
            "id": number, "sku": f"RUG-{number}", "name": "Garish rug with tassels", "slug": f"rug-{number}",
            "price": f"129.{number:02}", "currency": "EUR", "stock": number * 3, "rating": 4.5,
            "active": True,
            "category": {"id": number % 7, "slug": "brakes", "name": "Brakes"},
            "seller": {"id": number % 40, "name": "Acme parts"},
        }
        for number in range(20)
    ]  # fmt: skip
    return {"count": 2000, "next": "http://shop.test/api/rugs/?page=3", "previous": None, "results": rugs}


def cases() -> dict[str, tuple[bytes, bytes]]:
    """Pairs of bodies by what tells them apart."""
    control = page()
    dearer = copy.deepcopy(control)
    dearer["results"][7]["price"] = "129.08"
    turned = copy.deepcopy(control)
    turned["results"].reverse()
    body = orjson.dumps(control)
    return {
        "equal bytes": (body, bytes(bytearray(body))),
        "equal as JSON": (body, orjson.dumps(control, option=orjson.OPT_INDENT_2)),
        "one field differs": (body, orjson.dumps(dearer)),
        "another order": (body, orjson.dumps(turned)),
    }


def run() -> list[Row]:
    """One row per case; takes about ten seconds."""
    rows = []
    for name, (control, candidate) in cases().items():
        answers = [Answer("a home", 200, "application/json", body) for body in (control, candidate)]

        def ours(answers: list[Answer] = answers) -> object:
            return differences(*answers)

        def theirs(control: bytes = control, candidate: bytes = candidate) -> object:
            return DeepDiff(orjson.loads(control), orjson.loads(candidate))  # it compares parsed values

        found = interleaved({"ours": partial(_speed, ours), "theirs": partial(_speed, theirs)}, ROUNDS)
        rows.append(
            Row(
                what=f"comparison, 5 KB, {name}",
                ours=found["ours"],
                unit=UNIT,
                peer="deepdiff",
                theirs=found["theirs"],
            )
        )
    return rows


def _speed(compare: Callable[[], object], seconds: float = 0.1) -> float:
    """Calls per second of this process's CPU time, over about `seconds`."""
    calls, batch, start = 0, 1, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        for _ in range(batch):
            compare()
        calls += batch
        batch = min(10_000, batch * 2)  # asking for the time must not be what is measured
    return calls / elapsed
