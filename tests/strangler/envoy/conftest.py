"""One Envoy for each file of tests, and one of its own for a test that breaks something."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strangler.envoy.edge import Edge


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Shared by a file's tests: each publishes the phase that it needs."""
    running = Edge(tmp_path_factory.mktemp("edge"))
    yield running
    running.close()


@pytest.fixture
def own_edge(tmp_path: Path) -> Iterator[Edge]:
    """For a test that kills or refuses something."""
    running = Edge(tmp_path)
    yield running
    running.close()
