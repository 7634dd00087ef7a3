"""A change of phase takes effect under load, and one that Envoy refuses leaves everything as it was."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from strangler.envoy import gateway
from strangler.envoy.errors import GatewayUnreachable, SnapshotRefused
from strangler.envoy.shelf import KEPT, Shelf
from strangler.envoy.snapshot import RDS, Snapshot, of_resources
from strangler.run.postgres import free_port
from strangler.run.system import System
from tests.strangler.envoy.edge import Edge, at
from tests.waiting import until


def live_version(edge: Edge) -> str:
    return str(json.loads((Shelf(edge.system).live / RDS).read_bytes())["version_info"])


def taken(edge: Edge) -> str:
    snapshot = Shelf(edge.system).taken()
    assert snapshot
    return snapshot.revision


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin isn't asked, and routes to a cluster that isn't there are rendered for `switched`."""
    render = gateway.render

    def broken(
        config: object, system: object, phases: dict, *, number: int, former: Snapshot | None
    ) -> Snapshot:
        snapshot = render(config, system, phases, number=number, former=former)
        if phases["catalog.read"].name != "switched":
            return snapshot
        routes = snapshot.files[RDS].replace(b'"catalog-else-monolith"', b'"nowhere"')
        return Snapshot(f"{number}-0badc0ffee", {**snapshot.files, RDS: routes})

    monkeypatch.setattr(gateway, "render", broken)
    monkeypatch.setattr(gateway, "validate", lambda *_, **__: None)


def test_publishing_answers_when_envoy_routes_so(edge: Edge) -> None:
    for number in range(10):
        phase, home = [("switched", "catalog"), ("monolith", "monolith")][number % 2]
        snapshot = edge.publish(phase)
        assert [edge.ask().home for _ in range(5)] == [home] * 5
        assert gateway.describe(edge.system) == gateway.Description(snapshot.revision, 0, True)


def test_numbers_only_grow(edge: Edge) -> None:
    numbers = [edge.publish(phase).number for phase in ("shadow", "switched", "shadow", "canary=3")]
    assert numbers == sorted(set(numbers))


def test_the_same_phases_again_change_nothing(edge: Edge) -> None:
    first = edge.publish("canary=7")
    file = Shelf(edge.system).live / RDS
    before = file.stat()
    assert edge.publish("canary=7").revision == first.revision
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_the_routes_are_put_in_place(edge: Edge) -> None:
    edge.publish("shadow")
    before = Shelf(edge.system).versions()
    snapshot = edge.publish("canary=8")
    after = Shelf(edge.system).versions()
    assert {name for name in after if after[name] != before[name]} == {RDS}
    assert after[RDS] == snapshot.revision


def test_the_revision_of_recorded_phases_is_the_taken_one_and_no_other(edge: Edge) -> None:
    snapshot = edge.publish("canary=9")
    assert gateway.revision_of(edge.config, edge.system, at("canary=9")) == snapshot.revision
    assert gateway.revision_of(edge.config, edge.system, at("canary=10")) != snapshot.revision
    assert taken(edge) == snapshot.revision


def test_the_last_snapshots_are_kept_and_the_taken_one(tmp_path: Path) -> None:
    shelf = Shelf(System(str(tmp_path), 0, "", "", {}, {}, {}))
    snapshots = [of_resources({RDS: [{"name": str(number)}]}, number) for number in range(1, KEPT + 5)]
    for snapshot in snapshots:
        shelf.keep(snapshot)
        if snapshot.number <= 2:
            shelf.take(snapshot)
    kept = {one.name for one in (shelf.directory / "snapshots").iterdir()}
    assert kept == {one.revision for one in snapshots[-KEPT:]} | {snapshots[1].revision}
    assert shelf.taken() == snapshots[1]
    assert shelf.next_number() == KEPT + 5


def test_publishers_take_turns(edge: Edge) -> None:
    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(edge.publish, [f"canary={percent}" for percent in range(11, 21)]))
    assert len({one.number for one in published}) == 10
    last = max(published, key=lambda one: one.number)
    assert live_version(edge) == taken(edge) == last.revision
    assert gateway.describe(edge.system).revision == last.revision


def test_what_the_twin_refuses_is_never_put_in_place(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    former = edge.publish("shadow")
    render = gateway.render

    def broken(*arguments: object, **named: Any) -> Snapshot:
        snapshot, number = render(*arguments, **named), named["number"]
        routes = snapshot.files[RDS].replace(b'"cluster": "monolith"', b'"cluster": "nowhere"')
        return Snapshot(f"{number}-0badc0ffee", {**snapshot.files, RDS: routes})

    monkeypatch.setattr(gateway, "render", broken)
    with pytest.raises(SnapshotRefused, match="unknown cluster 'nowhere'"):
        edge.publish("switched")
    assert live_version(edge) == taken(edge) == former.revision
    assert gateway.describe(edge.system) == gateway.Description(former.revision, 0, True)


@pytest.mark.usefixtures("blind")
def test_what_envoy_refuses_is_put_back_while_traffic_goes_on(own_edge: Edge) -> None:
    former = own_edge.publish("shadow")

    async def refuse_under_load() -> None:
        load = asyncio.create_task(own_edge.load(1.5))
        await asyncio.sleep(0.3)
        with pytest.raises(SnapshotRefused) as refusal:
            await asyncio.to_thread(own_edge.publish, "switched")
        assert "unknown cluster 'nowhere'" in refusal.value.words
        assert f"Revision {former.revision} stays in place" in str(refusal.value)
        seen = await load
        assert seen.failed == []
        assert set(seen.homes) == {"monolith"}

    asyncio.run(refuse_under_load())
    assert live_version(own_edge) == taken(own_edge) == former.revision
    described = gateway.describe(own_edge.system)
    assert (described.revision, described.rejected) == (former.revision, 1)
    [refused] = own_edge.system.gateway_directory.glob("snapshots/*/refused.txt")
    assert "unknown cluster 'nowhere'" in refused.read_text()
    assert own_edge.publish("canary=30").number > former.number + 1


def test_fifty_changes_under_load_fail_nobody(own_edge: Edge) -> None:
    phases = ["monolith", "shadow", "canary=10", "canary=60", "switched"]

    async def change_under_load() -> None:
        done = asyncio.Event()
        load = asyncio.create_task(own_edge.load(60, users=6, pause=0.005, done=done))
        for number in range(50):
            await asyncio.to_thread(own_edge.publish, phases[number % 5])
            await asyncio.sleep(0.02)
        done.set()
        seen = await load
        assert seen.failed == []
        assert set(seen.homes) == {"monolith", "catalog"}
        assert seen.total > 500

    asyncio.run(change_under_load())


def test_without_an_envoy_nothing_is_changed(own_edge: Edge) -> None:
    former = own_edge.publish("shadow")
    own_edge.kill("envoy")
    with pytest.raises(GatewayUnreachable, match="Nothing was changed"):
        own_edge.publish("switched")
    assert live_version(own_edge) == taken(own_edge) == former.revision
    described = gateway.describe(own_edge.system)
    assert (described.revision, described.ready) == (None, False)
    assert "doesn't answer" in described.detail


def test_a_publisher_that_was_killed_halfway_is_made_good(own_edge: Edge) -> None:
    own_edge.publish("shadow")
    shelf = Shelf(own_edge.system)
    halfway = gateway.render(own_edge.config, own_edge.system, at("switched"), number=99)
    shelf.put(halfway.files, [RDS])  # in place, and nobody waited for Envoy or wrote it down
    again = own_edge.publish("shadow")
    assert own_edge.ask().home == "monolith"
    assert live_version(own_edge) == taken(own_edge) == again.revision


def test_a_home_that_moved_elsewhere_is_found_again(own_edge: Edge) -> None:
    own_edge.publish("switched")
    own_edge.kill("catalog")
    own_edge.ports["catalog"] = port = free_port()
    own_edge.start_home("catalog")
    own_edge.system.homes["catalog"] = f"http://127.0.0.1:{port}"
    own_edge.publish("switched")
    until(lambda: own_edge.ask().home == "catalog")  # after its first health check there
    assert gateway.describe(own_edge.system).revision == taken(own_edge)


def test_envoy_starts_again_on_what_was_taken(own_edge: Edge) -> None:
    snapshot = own_edge.publish("switched")
    own_edge.kill("envoy")
    gateway.prepare(own_edge.config, own_edge.system, at("switched"))
    own_edge.start_envoy()
    assert own_edge.ask().home == "catalog"
    assert gateway.describe(own_edge.system).revision == snapshot.revision
