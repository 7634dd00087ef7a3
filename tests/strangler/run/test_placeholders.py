"""What a declared process is told of the others' addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from strangler.config import Config, load
from strangler.errors import UsageError
from strangler.run import placeholders
from strangler.run.system import System

PROJECT = """
[project]
name = "shop"

[databases.shop]
env = "SHOP_DATABASE_URL"

[databases.control]
env = "CONTROL_DATABASE_URL"

[homes.shop]
process = "shop"
database = "shop"

[processes.shop]
command = ["shop", "{port}"]
env = { CARRIER = "{url.the-carrier}" }

[processes.the-carrier]
command = ["carrier", "--port", "{port}"]

[processes.worker]
command = ["worker"]

[gateway]
default = "shop"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "strangler.toml").write_text(PROJECT)
    return load(tmp_path)


def system(config: Config, processes: dict[str, str]) -> System:
    homes = {"shop": "http://127.0.0.1:9000"}
    return System(str(config.root), 0, "http://127.0.0.1:8000", "", homes, {}, {}, processes)


def test_a_process_is_told_where_one_that_is_no_home_listens(config: Config) -> None:
    here = system(config, {"shop": "http://127.0.0.1:9000", "the-carrier": "http://127.0.0.1:9001"})
    assert placeholders.environment(config, here, "shop")["CARRIER"] == "http://127.0.0.1:9001"


def test_a_process_that_does_not_run_here_has_no_address(config: Config) -> None:
    assert placeholders.environment(config, system(config, {}), "shop")["CARRIER"] == ""


def test_a_process_that_does_not_listen_can_not_be_asked(config: Config) -> None:
    with pytest.raises(UsageError, match=r"uses \{url\.worker\}"):
        placeholders.fill("{url.worker}", placeholders.values(config, system(config, {})))
