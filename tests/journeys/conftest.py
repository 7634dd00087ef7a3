"""Whole migrations on real processes: one copy of the project runs for all of these tests, and each one finds
it as the one before it did: everything at the monolith, everything healthy, the files as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.journeys.project import CAPABILITY, PATIENCE, Project, copied
from tests.tree import SERVICES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/journeys" in str(item.path):
            item.add_marker(pytest.mark.timeout(400))  # starts and tours on a machine that may be busy
            if not SERVICES:
                reason = (
                    "No service is in this tree: a later step brings one, and a capability that can move."
                )
                item.add_marker(pytest.mark.skip(reason))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project, up and running."""
    root = tmp_path_factory.mktemp("marketplace")
    with copied(root) as project:
        try:
            up = project.does("run", "--detach", timeout=300)
            assert "It stays up" in up.out
            # What runs is what lies here, and keeps its contracts: its gates ask for that.
            project.does("contracts", "verify", timeout=180)
            yield project
        finally:
            project.strangler("stop")


@pytest.fixture
def project(system: Project) -> Iterator[Project]:
    """The running project, with its capability at the monolith before and after."""
    yield system
    system.does("reverse", CAPABILITY)


@pytest.fixture(scope="module")
def switched(system: Project) -> Iterator[Project]:
    """The running project with its reads served by the service.

    Gates want minutes of traffic. How they judge is shown elsewhere, and here they are content with little.
    """
    with ExitStack() as until_there:
        for key, little in (
            ("mismatch_limit", 0.9),
            ("confidence", 0.5),
            ("latency_slack", 9.0),
            ("control", 1.0),
        ):
            until_there.enter_context(system.configured(key, f"{key} = {little}"))
        until_there.enter_context(system.load(seconds=4 * PATIENCE))
        for phase in ("shadow", "canary=99", "switched"):
            system.does("apply", CAPABILITY, phase, "--wait", f"{PATIENCE:g}", timeout=2 * PATIENCE)
    yield system
    system.does("reverse", CAPABILITY)
