"""Numbers decide: a rare bug doesn't pass the gate, and what goes wrong for clients goes back by itself."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.journeys.one_in import held_until_corrected
from tests.journeys.project import CAPABILITY, PATIENCE, Project, counted, until

pytestmark = pytest.mark.long

PRICE = (
    "extracted/catalog/serializers.py",
    "    category = CategoryBriefSerializer(read_only=True)\n",
    "    category = CategoryBriefSerializer(read_only=True)\n"
    "    price = serializers.DecimalField(max_digits=10, decimal_places=1)\n",
)
PRODUCT = "/api/catalog/products/1/"


def test_a_bug_that_shows_in_one_of_25_requests_is_held_until_it_is_corrected(project: Project) -> None:
    """Against 2 %; one of 500 against 0.1 % is the same, longer: `python -m tests.journeys.one_in`."""
    held_until_corrected(project, every=25, limit=0.02, rate=25, seconds=1.5 * PATIENCE, say=lambda _: None)


def test_a_wrong_price_in_a_canary_is_taken_back_by_itself_and_stays_there(project: Project) -> None:
    with ExitStack() as until_done:
        for key, value in (
            ("mismatch_limit", 0.9), ("confidence", 0.5), ("latency_slack", 9.0), ("sample", 1.0),
        ):  # fmt: skip
            until_done.enter_context(project.configured(key, f"{key} = {value}"))
        project.does("reverse", CAPABILITY)  # gives the gateway the edited file
        load = until_done.enter_context(project.load(seconds=6 * PATIENCE, rate=20))
        for phase in ("shadow", "canary=50"):
            project.does("apply", CAPABILITY, phase, "--wait", f"{PATIENCE:g}", timeout=2 * PATIENCE)

        with project.edited(*PRICE):
            project.restart("catalog")  # a deployment, and what was compared before it counts no longer
            last = until(lambda: _by_guard(project), "the guard to take it back")
            assert (last["origin"], last["target"], last["state"]) == ("canary=50", "shadow", "done")
            assert "A critical field differs: GET /api/catalog/products/" in last["because"]
            assert {project.ask(PRODUCT).home for _ in range(20)} == {"monolith"}

            (status,) = project.does("status", CAPABILITY, "--json").json
            assert (status["phase"], status["by"]) == ("shadow", "guard")
            assert status["guard"]["lives"] is True
            assert status["guard"]["took_back"] == last["because"]
            held = project.strangler("apply", CAPABILITY)
            assert held.code == 4
            assert "reverse: guard took it back to shadow" in held.said
        project.restart("catalog")  # or it would go on with the wrong price

        seen = counted(load)
        # Until it was taken back, who wrote a price read a wrong one.
        assert {one["kind"] for one in seen["failures"]} <= {"stale read"}, seen["failures"]
    assert project.does("history", CAPABILITY, "--json", "--limit", "1").json[0]["by"] == "guard"


def _by_guard(project: Project) -> dict[str, str] | None:
    (last,) = project.does("history", CAPABILITY, "--json", "--limit", "1").json
    return last if last["by"] == "guard" and last["state"] != "running" else None
