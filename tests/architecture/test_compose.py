"""docker-compose.yml, as far as it can be held to the truth without an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from strangler import config
from strangler.run import attach
from tests.tree import ROOT as PROJECT
from tests.tree import skip_without

skip_without(
    "extracted/catalog"
)  # docker-compose.yml is the same in every tree, and shows what the last step runs
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAYING = {name for name, one in SERVICES.items() if one.get("restart") != "no"}
EXACT = re.compile(r"v?\d+\.\d+(\.\d+)?(-[a-z-]+[\d.]*)?$")


def test_it_is_a_compose_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, str(PROJECT / "docker-compose.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_an_image_is_built_here_or_pinned(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert (PROJECT / service["build"]["dockerfile"]).is_file()
    else:
        assert EXACT.match(service["image"].partition(":")[2]), service["image"]


@pytest.mark.parametrize("path", ["monolith/Dockerfile", "extracted/catalog/service/Dockerfile"])
def test_a_base_image_is_pinned_and_the_user_is_nobody_special(path: str) -> None:
    text = (PROJECT / path).read_text()
    assert all(EXACT.match(one.rpartition(":")[2]) for one in re.findall(r"^FROM (\S+)", text, re.M)), text
    assert re.search(r"^USER (?!root)", text, re.M)


@pytest.mark.parametrize("name", sorted(STAYING))
def test_what_stays_up_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_is_waited_for_can_come(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_healthy" if needed in STAYING else "service_completed_successfully"
        assert how["condition"] == wanted, f"{name} waits for {needed}"


def test_the_control_plane_is_told_every_address_that_attaching_asks_for() -> None:
    declared = config.load(PROJECT)
    wanted = {attach.GATEWAY, attach.GATEWAY_ADMIN}
    wanted |= {attach.home_variable(name) for name in declared.homes}
    wanted |= {database.env for database in declared.databases.values()}
    for name in ("prepare", "control"):
        assert wanted <= set(SERVICES[name]["environment"])


@pytest.mark.parametrize("name", ["follower", "follower-monolith"])
def test_a_follower_is_the_one_that_strangler_run_starts(name: str) -> None:
    assert list(config.load(PROJECT).processes[name].command[1:]) == SERVICES[name]["command"][1:]


@pytest.mark.parametrize("name", ["follower", "follower-monolith", "control"])
def test_whoever_moves_rows_has_the_appliers_logins_that_are_made(name: str) -> None:
    named = [
        one for key, one in SERVICES[name]["environment"].items() if key.startswith("STRANGLER_APPLIER_")
    ]
    made = re.findall(r"CREATE ROLE (\w+) LOGIN.*IN ROLE (\w+);", COMPOSE["configs"]["databases"]["content"])
    wanted = {(role, database) for one in named for role, database in re.findall(r"//(\w+):.*/(\w+)$", one)}
    assert wanted == set(made)
    assert {database for _, database in wanted} == {"catalog", "marketplace"}


@pytest.mark.parametrize("name", ["monolith", "worker", "relay", "consumer", "catalog", "consumer-catalog"])
def test_no_home_may_write_past_a_fence(name: str) -> None:
    assert not any("applier" in str(one) for one in SERVICES[name]["environment"].values())


def test_the_homes_share_the_key_that_positions_are_signed_with() -> None:
    keys = {SERVICES[name]["environment"]["FRESHNESS_KEY"] for name in ("monolith", "catalog")}
    assert len(keys) == 1


def test_homes_are_reached_by_the_names_of_their_services() -> None:
    environment = SERVICES["control"]["environment"]
    for home in config.load(PROJECT).homes:
        address = environment[attach.home_variable(home)]
        assert re.fullmatch(r"http://([a-z]+):8000", address)[1] in SERVICES  # type: ignore[index]


def test_ports_are_published_on_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
