"""A system that somebody else runs is described by the environment, and then used like any other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler import config as configuration
from strangler.cli import strangler
from strangler.errors import UsageError
from strangler.run import attach, session, system

FILE = """
[project]
name = "elsewhere"
[databases.monolith]
env = "DATABASE_URL"
[homes.monolith]
process = "monolith"
database = "monolith"
[homes.rugs]
url = "http://10.1.2.3:8000/"
[gateway]
default = "monolith"
[processes.monolith]
command = ["true"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "strangler.toml").write_text(FILE)
    monkeypatch.setenv("STRANGLER_HOME_MONOLITH_URL", "http://127.0.0.1:1234/")
    monkeypatch.setenv("STRANGLER_GATEWAY_URL", "http://127.0.0.1:1235")
    monkeypatch.setenv("STRANGLER_GATEWAY_ADMIN_URL", "http://127.0.0.1:1236")
    return tmp_path


def run(project: Path, *words: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(strangler, ["--root", str(project), "attach", *words])
    if outcome.exception and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.exit_code, outcome.output


def test_every_verb_finds_what_the_environment_names(project: Path) -> None:
    code, said = run(project)
    assert (code, "Attached to http://127.0.0.1:1235" in said) == (0, True)
    found = session.find(configuration.load(project))
    assert found is not None
    assert found.homes == {"monolith": "http://127.0.0.1:1234", "rugs": "http://10.1.2.3:8000"}
    assert found.databases["monolith"].startswith("postgresql://")
    assert (project / ".strangler" / system.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_detaching_forgets_it(project: Path) -> None:
    run(project)
    assert run(project, "--detach")[0] == 0
    assert session.find(configuration.load(project)) is None


def test_captures_lie_where_another_container_finds_them(project: Path) -> None:
    state = project / ".strangler"
    state.mkdir()
    (state / "capture").symlink_to("/dev/shm/strangler-nobodys")
    run(project)
    assert (state / "capture").is_dir()
    assert not (state / "capture").is_symlink()


@pytest.mark.parametrize("variable", ["STRANGLER_HOME_MONOLITH_URL", "STRANGLER_GATEWAY_URL", "DATABASE_URL"])
def test_an_address_that_nothing_names_is_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(UsageError, match=variable):
        attach.describe(configuration.load(project), os.environ, project)
    assert not (project / ".strangler").exists()
