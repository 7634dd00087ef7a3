"""A sample of what `python -m tests.journeys.following` shows in full size."""

from __future__ import annotations

from tests.journeys.following import corrupt_and_mend, follow_through_a_kill
from tests.journeys.project import CAPABILITY, Project


def test_rows_follow_a_shop_in_full_swing_through_a_kill_and_corrupted_ones_are_mended(
    project: Project,
) -> None:
    said: list[str] = []
    follow_through_a_kill(project, rate=100, seconds=3, say=said.append)
    corrupt_and_mend(project, rate=200, say=said.append)
    assert any(sentence.startswith("killed the follower") for sentence in said)
    project.does("reverse", CAPABILITY)
    project.does("cancel", CAPABILITY)
