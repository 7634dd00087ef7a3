"""The embedded server: throwaway for tests, durable for a system, never reachable without its password."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from strangler import config as configuration
from strangler.run import databases, postgres, session, sweep
from tests.waiting import PATIENCE, until

from .conftest import HEAD, SMALL, Project

DATABASES = """
[databases.shop]
env = "SHOP_URL"
[databases.catalog]
env = "CATALOG_URL"
beside = "shop"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A throwaway server's superuser URL, for this file."""
    with postgres.embedded_postgres(tmp_path_factory.mktemp("postgres") / "cluster") as url:
        yield url


def test_throwaway_server_answers_and_leaves_nothing(tmp_path: Path) -> None:
    wanted = tmp_path / "cluster"

    with postgres.embedded_postgres(wanted) as url, psycopg.connect(url) as connection:
        place = Path(connection.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
        assert connection.execute("SHOW fsync").fetchone() == ("off",)
        connection.close()

    assert not place.exists()
    assert not wanted.exists()
    assert not wanted.is_symlink()
    assert not postgres.answers(url)


def test_nobody_gets_in_without_the_password(server: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.replace("@", "0@"))


def test_command_runs_with_a_database_and_its_exit_code_counts() -> None:
    ask = "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL']); sys.exit(7)"
    environment = {name: text for name, text in os.environ.items() if name != "DATABASE_URL"}

    run = subprocess.run(
        [sys.executable, "-m", "strangler.run.postgres", "--", sys.executable, "-c", ask],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert run.returncode == 7
    assert "postgres: embedded 16" in run.stderr


def test_named_server_is_used_and_none_started() -> None:
    ask = "import os; print(os.environ['DATABASE_URL'])"

    run = subprocess.run(
        [sys.executable, "-m", "strangler.run.postgres", "--", sys.executable, "-c", ask],
        env=os.environ | {"DATABASE_URL": "postgres://named/one"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert run.stdout == "postgres://named/one\n"
    assert "the server that DATABASE_URL names" in run.stderr


def test_killed_owner_takes_the_server_with_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from strangler.run import postgres\n"
        "with postgres.embedded_postgres(Path(sys.argv[1])) as url:\n"
        "    print(url, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "it")], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    assert postgres.answers(url)

    owner.kill()
    owner.wait(PATIENCE)
    owner.stdout.close()

    until(lambda: not postgres.answers(url))
    until(lambda: not list((tmp_path / "it").resolve().rglob("postmaster.pid")))  # its last file
    shutil.rmtree((tmp_path / "it").resolve())  # nobody was left to do it


def test_database_and_role_are_made_beside_another(server: str, tmp_path: Path) -> None:
    config = configuration.parse(HEAD.replace("process", "url") + DATABASES, tmp_path)

    urls = databases.resolve(config, {}, state=tmp_path, embedded=server)
    again = databases.resolve(config, {}, state=tmp_path, embedded=server)

    assert urls == again
    with psycopg.connect(urls["catalog"]) as connection:
        assert (
            connection.execute("SELECT current_user, current_database()").fetchone() == ("small_catalog",) * 2
        )
        connection.execute("CREATE TABLE rug (name text)")
    assert (tmp_path / databases.PASSWORDS).stat().st_mode & 0o777 == 0o600


def test_a_role_can_not_read_its_neighbours_database(server: str, tmp_path: Path) -> None:
    config = configuration.parse(HEAD.replace("process", "url") + DATABASES, tmp_path)
    urls = databases.resolve(config, {}, state=tmp_path, embedded=server)

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(urls["catalog"].removesuffix("_catalog"))


def test_server_that_lets_nobody_make_databases_is_named_with_the_way_out(
    server: str, tmp_path: Path
) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
    named = server.replace(server.split("//")[1].split("@")[0], "modest:modest")
    config = configuration.parse(HEAD.replace("process", "url") + DATABASES, tmp_path)

    with pytest.raises(databases.DatabaseRefuses) as refusal:
        databases.resolve(config, {"SHOP_URL": named}, state=tmp_path, embedded=None)

    message = str(refusal.value)
    assert "refuses the database 'postgres_catalog' for catalog: permission denied to create role." in message
    assert "name it in CATALOG_URL" in message
    assert "modest:modest" not in message


def test_system_brings_its_own_server_and_keeps_the_rows(make_project: Callable[..., Project]) -> None:
    ask = "import psycopg, sys, time; psycopg.connect(sys.argv[1]); time.sleep(60)"
    table = f'[processes.first]\ncommand = ["{{python}}", "-c", "{ask}", "{{database.shop}}"]\n'
    project = make_project(table, DATABASES)
    with session.started(project.config, supervisor=SMALL) as system:
        assert system.modes["database"] == "embedded"
        with psycopg.connect(system.databases["shop"]) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            connection.execute("CREATE TABLE rug AS SELECT 'GARISH-RUG' AS name")
    assert not project.left()

    child = project.launch()
    system = session.wait_until_ready(project.config, child)

    with psycopg.connect(system.databases["shop"]) as connection:
        assert connection.execute("SELECT name FROM rug").fetchone() == ("GARISH-RUG",)
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE)
    until(lambda: not project.left() and not postgres.answers(system.databases["shop"]))


def test_missing_wheel_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PACKAGE", "no_such_wheel")

    with pytest.raises(
        postgres.PostgresFailed, match=r"There is no embedded PostgreSQL for linux on .* docker compose"
    ):
        postgres.binaries()


def test_cluster_of_another_version_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = postgres.prepare(tmp_path / "cluster", durable=True)
    monkeypatch.setattr(postgres, "version", lambda: "19.1")

    with pytest.raises(postgres.PostgresFailed, match="was made by PostgreSQL 16; this is 19"):
        postgres.prepare(tmp_path / "cluster", durable=True)

    assert (cluster.data / "PG_VERSION").read_text() == "16\n"
    shutil.rmtree(cluster.directory)


def test_cluster_of_a_project_that_is_gone_is_not_gone_on_with(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)  # out of the server user's reach, so root has it in /var/tmp
    wanted = tmp_path / "cluster"
    password = postgres.prepare(wanted, durable=True).password
    shutil.rmtree(wanted) if wanted.is_dir() and not wanted.is_symlink() else wanted.unlink()

    again = postgres.prepare(wanted, durable=True)

    assert again.password != password
    assert postgres.prepare(wanted, durable=True).password == again.password
    shutil.rmtree(again.directory)


def test_sweep_finds_servers_that_run_as_somebody_else(make_project: Callable[..., Project]) -> None:
    project = make_project('[processes.first]\ncommand = ["sleep", "60"]\n', DATABASES)
    project.start()

    owners = {Path(f"/proc/{one.pid}").owner() for one in sweep.members(project.board.run, {})}

    assert len(owners) == (2 if os.geteuid() == 0 else 1)
