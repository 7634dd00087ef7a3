"""Small projects whose processes are real, run by a supervisor of their own below the test's directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from strangler import config as configuration
from strangler.config import Config
from strangler.run import board, session, sweep
from strangler.run.board import Board
from strangler.run.system import STATE_DIRECTORY, System
from tests.waiting import PATIENCE, until

HERE = Path(__file__).parent
SMALL = (str(HERE / "small_system.py"),)
SERVER = str(HERE / "server.py")

HEAD = """
[project]
name = "small"
[homes.monolith]
process = "first"
[gateway]
port = 0
default = "monolith"
"""


def serving(
    name: str, *, needs: str = "", children: int = 0, prepare: str = "", health: str = "/ready"
) -> str:
    """A [processes.*] table for one instance of server.py."""
    return f"""
[processes.{name}]
command = ["{{python}}", "{SERVER}", "{{port}}", "{children}"]
health = "{health}"
needs = [{needs}]
prepare = [{prepare}]
env = {{ NAME = "{name}", ORDER_FILE = "{{root}}/order" }}
"""


@dataclass
class Project:
    """A project directory with its strangler.toml; `children` are the supervisors started in it."""

    root: Path
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def config(self) -> Config:
        return configuration.load(self.root)

    @property
    def board(self) -> Board:
        seen = board.load(self.root / STATE_DIRECTORY)
        assert seen is not None
        return seen

    @property
    def order(self) -> list[str]:
        """What the processes wrote when they started and stopped."""
        return (self.root / "order").read_text().splitlines()

    def launch(self) -> subprocess.Popen[bytes]:
        child = session.launch(self.config, supervisor=SMALL)
        self.children.append(child)
        return child

    def start(self) -> System:
        return session.wait_until_ready(self.config, self.launch())

    def left(self) -> list[sweep.Stat]:
        """The living processes of the last run."""
        return sweep.members(self.board.run, self.board.groups)

    def strangler(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line, in this project."""
        return subprocess.run(
            [sys.executable, "-m", "strangler.cli", "--root", str(self.root), *arguments],
            env={**os.environ, **environment}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture
def make_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Project]]:
    """Makes a project from tables; what it runs is ended with the test."""
    for variable in ("DATABASE_URL", "BROKER_URL"):
        monkeypatch.delenv(variable, raising=False)
    made: list[Project] = []

    def make(*tables: str, head: str = HEAD) -> Project:
        (tmp_path / "strangler.toml").write_text(head + "".join(tables))
        made.append(Project(tmp_path))
        return made[-1]

    yield make
    for project in made:
        for child in project.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.wait(PATIENCE)
        if project.children:
            until(partial(_is_gone, project))
        for link in ("postgres", "capture"):  # both may lie elsewhere
            shutil.rmtree((project.root / STATE_DIRECTORY / link).resolve(), ignore_errors=True)


def _is_gone(project: Project) -> bool:
    return not project.left()
