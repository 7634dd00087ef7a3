"""The follower as a process: makes its own login, follows, says why it holds, goes on, ends when told."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from strangler.movement import applier
from strangler.movement.errors import CopyRefused
from strangler.movement.operations import begin_to_follow
from strangler.run.system import System
from tests.waiting import until

TOML = """
[project]
name = "shop"
[databases.monolith]
env = "DATABASE_URL"
[databases.catalog]
env = "CATALOG_DATABASE_URL"
[homes.monolith]
url = "http://127.0.0.1:1"
database = "monolith"
[homes.catalog]
url = "http://127.0.0.1:2"
database = "catalog"
[gateway]
default = "monolith"
[capabilities."catalog.read"]
kind = "read"
home = "catalog"
routes = ["GET /rugs/"]
tables = ["rug"]
"""
ROWS = "SELECT t::text FROM rug AS t ORDER BY 1"


@pytest.fixture
def shop(pair, role, tmp_path: Path) -> Iterator[Path]:
    """A project whose running system has the two databases; 40 rugs at the owner."""
    (tmp_path / "strangler.toml").write_text(TOML)
    pair.on_both("CREATE TABLE rug (id int PRIMARY KEY, name text)")
    pair.on_owner("INSERT INTO rug SELECT n, 'GARISH' FROM generate_series(1, 40) AS n")
    (tmp_path / ".strangler").mkdir()
    System(
        root=str(tmp_path),
        supervisor=0,
        gateway="",
        gateway_admin="",
        homes={},
        databases={"monolith": pair.owner, "catalog": pair.follower},
        modes={},
    ).save()
    return tmp_path


def test_it_follows_holds_with_the_reason_goes_on_and_ends(pair, shop, tmp_path):
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "strangler.movement.follower", "catalog", "--root", str(shop)],
            stderr=out,
        )
    try:
        begin_to_follow(pair.owner, pair.follower, "catalog.read", "monolith", ["rug"], "anna@loom")
        assert pair.on_follower(ROWS) == pair.on_owner(ROWS)
        pair.on_owner("UPDATE rug SET name = 'PLAIN' WHERE id = 7")
        until(lambda: pair.on_follower(ROWS) == pair.on_owner(ROWS))
        pair.on_owner("ALTER TABLE rug ADD COLUMN price int", "UPDATE rug SET price = 7")
        until(lambda: "the follower lacks price" in log.read_text())
        pair.on_follower("ALTER TABLE rug ADD COLUMN price int")
        until(lambda: pair.on_follower(ROWS) == pair.on_owner(ROWS))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert "catalog.read follows monolith: rug." in log.read_text()
    assert log.read_text().count("the follower lacks price") == 1, "a reason is said once"


@pytest.mark.parametrize("check", [[], ["--check"]], ids=["", "check"])
def test_a_home_that_nobody_has_is_refused_at_once(shop, check):
    command = [sys.executable, "-m", "strangler.movement.follower", "catalogue", "--root", str(shop), *check]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "no home is called 'catalogue', but monolith, catalog" in done.stderr


def test_a_check_says_why_nothing_lives(shop):
    command = [sys.executable, "-m", "strangler.movement.follower", "catalog", "--root", str(shop), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, "No follower has ever spoken.\n")


@pytest.fixture
def no_applier(pair, role) -> Iterator[str]:
    """The applier's role is missing for the test; its name."""
    name = f"{role[0]}_applier"
    pair.on_owner(f"DROP ROLE {name}")
    yield name
    password = urlsplit(pair.applier).password
    pair.on_owner(
        f"DROP ROLE IF EXISTS {name}", f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {role[0]}"
    )


def test_the_applier_is_made_once_and_may_log_in(pair, no_applier):
    password = secrets.token_hex(8)
    url = applier.ensure(pair.follower, pair.owner, password)
    assert applier.ensure(pair.follower, pair.owner, password) == url
    assert urlsplit(url).username == no_applier


@pytest.mark.usefixtures("no_applier")
def test_where_nobody_may_make_it_the_statement_is_said(pair):
    with pytest.raises(CopyRefused, match=r"permission denied.*CREATE ROLE .*_applier.*--as"):
        applier.ensure(pair.follower, "postgresql://elsewhere:1/x", "unknown")
