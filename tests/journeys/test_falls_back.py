"""kill -9 under load: of the service, of the gateway, and of the supervisor."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.project import CAPABILITY, PATIENCE, Answer, Project, copied, counted, until

PRODUCT = "/api/catalog/products/1/"

# A whole system on an embedded PostgreSQL, of homes that start at once.
SMALL = """
[project]
name = "small"

[databases.monolith]
env = "DATABASE_URL"
[databases.control]
env = "STRANGLER_DATABASE_URL"
beside = "monolith"

[homes.monolith]
process = "monolith"
database = "monolith"
[homes.catalog]
process = "catalog"
database = "monolith"

[processes.monolith]
command = ["{python}", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
[processes.catalog]
command = ["{python}", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]

[gateway]
port = 0
default = "monolith"

[capabilities."catalog.read"]
kind = "read"
home = "catalog"
routes = ["GET /api/catalog/products/"]
"""


def test_no_read_fails_when_the_service_is_killed_and_killed_again(switched: Project) -> None:
    before = switched.row("catalog")
    with switched.load(seconds=PATIENCE) as load:
        until(lambda: switched.ask(PRODUCT).home == "catalog", "the service to answer")
        time.sleep(2)  # users log in, and the load is under way
        for _ in range(2):
            os.killpg(switched.row("catalog")["pid"], signal.SIGKILL)
            seen = [switched.ask(PRODUCT) for _ in range(20)]
            assert {answer.status for answer in seen} == {200}
            assert "monolith" in {answer.home for answer in seen}
            until(lambda: switched.ask(PRODUCT).home == "catalog", "the service to answer again")
        found = counted(load)

    assert found["failed"] == 0, json.dumps(found["failures"])
    assert found["homes"].keys() == {"catalog", "monolith"}
    after = switched.row("catalog")
    assert after["restarts"] == before["restarts"] + 2
    assert after["health"] == "healthy"


def test_a_killed_gateway_serves_again_and_routes_as_before(
    switched: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    before = switched.row("gateway")
    os.killpg(before["pid"], signal.SIGKILL)
    killed = time.monotonic()
    back: Answer = until(lambda: (seen := switched.ask(PRODUCT)).status == 200 and seen, "a read", pause=0.02)
    took = time.monotonic() - killed

    with capsys.disabled():
        print(f"\n  Envoy, killed, serves again after {took:.2f} s")
    assert back.home in ("catalog", "monolith")  # whose health it has still to learn
    assert took < PATIENCE / 3
    until(lambda: switched.ask(PRODUCT).home == "catalog", "the service to be healthy to the gateway")
    status = switched.does("status", CAPABILITY)
    assert "is at switched" in status.out
    assert "as recorded" in status.out
    after = switched.row("gateway")
    assert after["restarts"] == before["restarts"] + 1
    assert after["pid"] != before["pid"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Project]:
    """A copy of the project whose strangler.toml declares little, up and running."""
    with copied(tmp_path, database=False) as project:
        (tmp_path / "strangler.toml").write_text(SMALL)
        try:
            project.does("run", "--detach")
            yield project
        finally:
            project.strangler("stop")
            shutil.rmtree((tmp_path / ".strangler/postgres").resolve())  # it may lie elsewhere


def test_a_killed_supervisor_leaves_no_orphan(small: Project) -> None:
    seen = small.does("ps", "--json").json
    names = [row["name"] for row in seen["processes"]]
    assert names == ["postgres", "monolith", "catalog", "telemetry", "gateway", "comparator", "guard"]
    mark = _run_of(seen["processes"][1]["pid"])
    pids = {seen["supervisor"], *(row["pid"] for row in seen["processes"])}
    assert _left(pids, mark) >= pids

    os.kill(seen["supervisor"], signal.SIGKILL)

    until(lambda: not _left(pids, mark), "everything that it had started to end with it")
    assert small.does("ps").out.startswith("Nothing runs here.")
    assert small.ask("/").status == 0

    small.does("run", "--detach")  # and nothing is in the way of the next start
    assert small.ask("/").status == 200


def _run_of(child: int) -> bytes:
    """The mark that everything carries in its environment that this run has started."""
    environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    return next(one for one in environment if one.startswith(b"STRANGLER_RUN="))


def _left(pids: set[int], mark: bytes) -> set[int]:
    """The living processes among these, and those that carry the mark."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (int(entry.name) in pids or mark in (entry / "environ").read_bytes()):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found |= set() if state in "ZX" else {int(entry.name)}
        except OSError:
            continue
    return found
