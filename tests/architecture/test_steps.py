"""The steps lead back from the tree that is committed; `strangler steps check` goes on from there."""

from __future__ import annotations

import pytest

from strangler.steps import build, check
from strangler.steps.git import Repository
from tests.tree import KEEPS_STEPS, ROOT, skip

if not KEEPS_STEPS or not (ROOT / ".git").exists():
    skip("the steps are kept on main, in a repository")

RECORD, CHAIN = build.read(Repository(ROOT))
PAIRS = [(CHAIN.trees[index - 1], CHAIN.trees[index]) for index in range(1, len(CHAIN.trees))]


def test_every_step_is_found_by_going_backwards():
    """Where this fails after work on main: `strangler steps absorb` (docs/steps/README.md)."""
    assert [finding.sentence for finding in CHAIN.findings] == []


@pytest.mark.parametrize("pair", PAIRS, ids=[step.name for step in CHAIN.steps[1:]])
def test_migrations_only_get_added(pair):
    assert check.migrations(RECORD.roots, *pair) == ""


@pytest.mark.parametrize("step", RECORD.steps, ids=lambda step: step.name)
def test_a_step_has_its_lesson(step):
    text = (ROOT / "docs" / "steps" / step.name / "README.md").read_text()
    assert {"## Verify", "## Way back"} <= set(text.splitlines())
    assert f"]({step.name}/README.md)" in (ROOT / "docs" / "steps" / "README.md").read_text()
