"""`strangler copy` copies between the databases of the running system, and says what is true afterwards."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from strangler import cli
from strangler.run.system import System

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
[homes.bare]
url = "http://127.0.0.1:3"
[gateway]
default = "monolith"
[capabilities."catalog.read"]
kind = "read"
home = "catalog"
routes = ["GET /rugs/"]
tables = ["seller", "rug"]
[capabilities."untabled.read"]
kind = "read"
home = "catalog"
routes = ["GET /nothing/"]
[capabilities."bare.read"]
kind = "read"
home = "bare"
routes = ["GET /bare/"]
tables = ["seller"]
"""


@pytest.fixture
def shop(pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A project whose running system has the two databases; 3 sellers and 40 rugs at the owner."""
    (tmp_path / "strangler.toml").write_text(TOML)
    pair.on_both(
        "CREATE TABLE seller (id int PRIMARY KEY)",
        "CREATE TABLE rug (id serial PRIMARY KEY, seller_id int REFERENCES seller)",
    )
    pair.on_owner(
        "INSERT INTO seller SELECT generate_series(1, 3)",
        "INSERT INTO rug SELECT n, 1 + n % 3 FROM generate_series(1, 40) AS n",
    )
    databases = {"monolith": pair.owner, "catalog": pair.follower}

    @contextmanager
    def running_system(config, *, quiet: bool = False):
        yield System(str(tmp_path), 0, "", "", {}, databases, {})

    monkeypatch.setattr("strangler.run.session.running_system", running_system)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return pair


@pytest.fixture
def strangler(capsys: pytest.CaptureFixture[str]):
    """Run a verb; its exit code, and what it wrote to stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_it_prints_what_it_did_and_that_both_sides_are_equal(shop, strangler):
    code, out, err = strangler("copy", "catalog.read")
    assert code == 0, err
    assert re.search(r"rug +.*40 .*40 .*yes .*filled .*40 .*0", out)
    assert "43 rows in" in out
    assert "foreign keys put back: 1, sequences moved: 1." in out
    assert "43 rows in 2 tables are equal on both sides." in out


def test_verify_only_copies_nothing_and_exits_with_1_where_rows_differ(shop, strangler):
    code, out, _ = strangler("copy", "catalog.read", "--verify-only")
    assert code == 1
    assert re.search(r"rug +.*40 .*0 .*no", out)
    assert shop.on_follower("SELECT count(*) FROM rug") == [(0,)]


def test_json_is_all_that_it_prints(shop, strangler):
    code, out, err = strangler("copy", "catalog.read", "--json")
    assert (code, err) == (0, "")
    values = json.loads(out)
    assert values["equal"] is values["complete"] is True
    assert [table["way"] for table in values["copy"]["tables"]] == ["filled", "filled"]
    code, out, _ = strangler("copy", "catalog.read", "--json", "--restart")
    assert [table["way"] for table in json.loads(out)["copy"]["tables"]] == ["equal", "equal"]


@pytest.mark.parametrize(
    ("capability", "said"),
    [
        ("catalog.write", "There is no capability 'catalog.write'"),
        ("untabled.read", "untabled.read declares no tables"),
        ("bare.read", "The home 'bare' declares no database"),
    ],
)
def test_what_can_t_be_copied_is_a_sentence_and_exit_code_2(shop, strangler, capability, said):
    code, out, err = strangler("copy", capability)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_refused_copy_is_a_sentence_and_exit_code_1(shop, strangler):
    shop.on_follower("ALTER TABLE rug ADD COLUMN pile int")
    code, _, err = strangler("copy", "catalog.read")
    assert code == 1
    assert "the owner lacks pile (integer)" in err
    assert "Nothing was copied" in err
