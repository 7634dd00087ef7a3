"""What is rendered, without an Envoy: readable files under golden/, and the rules that they keep.

`WRITE_GOLDEN=1 pytest tests/strangler/envoy/test_snapshot.py` writes them anew; read the diff.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest

from strangler.control.phases import Phase
from strangler.envoy.bootstrap import bootstrap
from strangler.envoy.errors import HomeUnroutable
from strangler.envoy.listener import stripped
from strangler.envoy.snapshot import CDS, LDS, RDS, Snapshot, render
from strangler.run.system import System
from tests.strangler.envoy.edge import at, shop

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path("/srv/shop")
SYSTEM = System(
    root=str(ROOT),
    supervisor=1,
    gateway="http://127.0.0.1:8000",
    gateway_admin="http://127.0.0.1:9901",
    homes={"monolith": "http://127.0.0.1:8001", "catalog": "http://127.0.0.1:8002"},
    databases={},
    modes={},
)
PHASES = ["monolith", "shadow", "canary=25", "switched"]


def rendered(phase: str, **settings: float) -> Snapshot:
    return render(shop(ROOT, **settings), SYSTEM, at(phase))


def check_golden(name: str, content: bytes) -> None:
    file = GOLDEN / name
    if os.environ.get("WRITE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert content.decode() == file.read_text()


@pytest.mark.parametrize("phase", PHASES)
def test_routes_of_each_phase_read_as_written_down(phase: str) -> None:
    check_golden(f"rds.{phase}.json", rendered(phase).files[RDS])


@pytest.mark.parametrize("name", [LDS, CDS, "eds/monolith/eds.json", "eds/catalog/eds.json"])
def test_what_no_phase_changes_reads_as_written_down(name: str) -> None:
    golden = name.removesuffix("/eds.json").replace("/", ".") if "eds" in name else Path(name).stem
    check_golden(f"{golden}.json", rendered("monolith").files[name])


def test_bootstrap_reads_as_written_down() -> None:
    check_golden("bootstrap.json", json.dumps(bootstrap(SYSTEM), indent=1).encode() + b"\n")


def test_a_phase_changes_the_routes_and_nothing_else() -> None:
    first = rendered("monolith")
    for phase in PHASES:
        other = rendered(phase)
        changed = [name for name in first.files if first.resources(name) != other.resources(name)]
        assert changed in ([], [RDS]), phase


def test_every_file_carries_the_revision() -> None:
    snapshot = render(shop(ROOT), SYSTEM, at("switched"), number=7)
    assert re.fullmatch(r"7-[0-9a-f]{10}", snapshot.revision)
    assert {json.loads(one)["version_info"] for one in snapshot.files.values()} == {snapshot.revision}


def test_revision_tells_content_apart_and_not_the_number() -> None:
    seventh = render(shop(ROOT), SYSTEM, at("switched"), number=7)
    assert seventh.digest == rendered("switched").digest
    assert seventh.digest != rendered("canary=99").digest


def test_a_capability_without_a_phase_is_at_monolith() -> None:
    assert render(shop(ROOT), SYSTEM, {}).digest == rendered("monolith").digest


def test_a_canary_lists_the_service_first() -> None:
    splits = [
        route["route"]["weighted_clusters"]["clusters"]
        for host in rendered("canary=25").resources(RDS)[0]["virtual_hosts"]
        for route in host["routes"]
        if "weighted_clusters" in route.get("route", {})
    ]
    assert splits
    for split in splits:
        assert [(one["name"], one["weight"]) for one in split] == [
            ("catalog-else-monolith", 25),
            ("monolith", 75),
        ]


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_captured_where_the_sample_is_nothing(phase: str) -> None:
    files = rendered(phase, sample=0).files
    assert not [name for name, content in files.items() if b"capture" in content]


@pytest.mark.parametrize("phase", PHASES)
def test_everything_is_captured_where_the_sample_is_everything(phase: str) -> None:
    routes = rendered(phase, sample=1).resources(RDS)[0]["virtual_hosts"][0]["routes"]
    ours = [one for one in routes if one["name"].startswith("catalog.read")]
    assert ours
    assert all(one["name"].endswith(", captured") and "runtime_fraction" not in one["match"] for one in ours)


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("x-strangler-home", True),
        ("x-strangler-user", True),
        ("x-strangler-us", True),
        ("x-strangler-", True),
        ("x-strangler-use", False),
        ("x-envoy-max-retries", True),
        ("x-forwarded-host", True),
        ("forwarded", True),
        ("x-real-ip", True),
        ("cookie", False),
        ("x-request-id", False),
    ],
)
def test_names_that_a_client_may_not_use(name: str, gone: bool) -> None:
    assert bool(re.fullmatch(stripped(shop(ROOT).gateway), name)) is gone


def test_a_home_with_a_host_name_is_left_to_dns() -> None:
    system = dataclasses.replace(SYSTEM, homes=SYSTEM.homes | {"catalog": "http://catalog:8000"})
    snapshot = render(shop(ROOT), system, at("switched"))
    assert "eds/catalog/eds.json" not in snapshot.files
    cluster = next(one for one in snapshot.resources(CDS) if one["name"] == "catalog")
    assert cluster["type"] == "STRICT_DNS"


@pytest.mark.parametrize("url", ["https://127.0.0.1:8002", "http://127.0.0.1:8002/api", "127.0.0.1:8002"])
def test_an_address_that_envoy_cannot_be_given_is_refused(url: str) -> None:
    system = dataclasses.replace(SYSTEM, homes=SYSTEM.homes | {"catalog": url})
    with pytest.raises(HomeUnroutable, match="catalog can't be at"):
        render(shop(ROOT), system, at("switched"))


def test_a_switch_of_writes_exchanges_one_address_and_nothing_else() -> None:
    """A retry doesn't choose its route anew: whoever waits must find the new owner on the old route."""
    before, after = (
        render(shop(ROOT), SYSTEM, {"catalog.write": Phase.parse(phase)})
        for phase in ("replicate", "switched")
    )
    changed = [name for name in before.files if before.resources(name) != after.resources(name)]
    assert changed == ["eds/owner of catalog.write/eds.json"]
    assert "8002" in after.files[changed[0]].decode()


def test_an_owner_whose_name_cannot_be_looked_up_keeps_its_address_and_stops_nothing_else() -> None:
    lost = dataclasses.replace(SYSTEM, homes=SYSTEM.homes | {"monolith": "http://monolith.invalid:8001"})
    before = rendered("monolith")
    after = render(shop(ROOT), lost, at("switched"), former=before)
    owner = "eds/owner of catalog.write/eds.json"
    assert after.resources(owner) == before.resources(owner)
    assert after.resources(RDS) == rendered("switched").resources(RDS)
    assert render(shop(ROOT), lost, at("switched")).resources(owner)[0]["endpoints"] == []


def test_writes_are_not_handed_to_an_owner_whose_name_cannot_be_looked_up() -> None:
    lost = dataclasses.replace(SYSTEM, homes=SYSTEM.homes | {"catalog": "http://catalog.invalid:8002"})
    switched = {"catalog.write": Phase.parse("switched")}
    with pytest.raises(HomeUnroutable, match="can't be looked up"):
        render(shop(ROOT), lost, switched, former=rendered("monolith"))


def test_an_admin_address_beyond_this_machine_is_refused() -> None:
    with pytest.raises(HomeUnroutable, match="must be on this machine"):
        bootstrap(dataclasses.replace(SYSTEM, gateway_admin="http://0.0.0.0:9901"))
