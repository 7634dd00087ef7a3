"""What `make run` shows a newcomer, from its first line to its exit code."""

from __future__ import annotations

import re

import pytest

from tests.journeys.project import Project

PHASES = (
    "monolith", "shadow", "canary=10", "canary=50", "switched", "monolith", "shadow", "canary=50", "switched",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(800)  # its gates wait for evidence, and a busy machine gives it slowly
def test_the_tour_moves_compares_and_comes_back(project: Project) -> None:
    toured = project.does("run", "--exit", timeout=700)

    assert "It already runs." in toured.out
    legs = re.findall(r"^│ +([a-z]+(?:=\d+)?) +│(.*)│$", toured.out, re.MULTILINE)
    assert tuple(phase for phase, _ in legs) == PHASES
    said = re.search(
        r"([\d,]+) requests \(([\d,]+) writes, ([\d,]+) read back at once\), 0 failed; "
        r"([\d,]+) compared, 0 differing, [\d,]+ stale\.",
        toured.out,
    )
    assert said
    requests, writes, read_back, compared = (int(number.replace(",", "")) for number in said.groups())
    assert requests > 1000
    assert writes > read_back > 20
    assert compared > 300  # fewer can't have passed the gates

    moves = project.does("history", "catalog.read", "--json").json
    assert [move["target"] for move in moves[:8]][::-1] == list(PHASES[1:])
    assert {(move["state"], move["by"]) for move in moves[:8]} == {("done", "the tour")}
