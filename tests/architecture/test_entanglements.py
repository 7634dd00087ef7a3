"""The table of knots in docs/steps/00-monolith says where each one stands in that step, and is held to it.

A file that some step has changed since is read as it stood before the first of those steps.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tree import KEEPS_STEPS, ROOT, skip

ROW = re.compile(r"\| .* \| `(?P<file>[^`:]+):(?P<line>\d+)` \| `(?P<snippet>.*)` \|")
TABLE = (ROOT / "docs" / "steps" / "00-monolith" / "README.md").read_text().partition("## Cut since")[0]
KNOTS = [match.group("file", "line", "snippet") for match in map(ROW.fullmatch, TABLE.splitlines()) if match]


def test_the_table_lists_knots():
    assert len(KNOTS) > 20


def as_it_was(file: str) -> Path:
    befores = sorted(ROOT.glob(f"docs/steps/*/before/{file}"))
    return befores[0] if befores else ROOT / file


@pytest.mark.parametrize(("file", "line", "snippet"), KNOTS)
def test_the_knot_stands_where_the_table_says(file, line, snippet):
    if not KEEPS_STEPS:
        skip("held on main, where the steps are kept as they were")
    snippet = snippet.replace("\\|", "|")
    lines = as_it_was(file).read_text().splitlines()
    found = [number for number, text in enumerate(lines, start=1) if snippet in text]
    assert int(line) in found, (
        f"{file}:{line} doesn't hold {snippet!r} any more; it stands at {found or 'no line'}."
    )
