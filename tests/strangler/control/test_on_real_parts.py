"""The control plane on a real Envoy, real databases and the real record of comparisons: nothing is faked."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from strangler.config import Config
from strangler.control import transition
from strangler.control.desk import Desk, at_desk
from strangler.control.errors import GatesHeld, TransitionFailed
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.control.status import look
from strangler.control.surroundings import Actual
from strangler.control.text import status as status_text
from strangler.run.system import System
from tests.fakes.control_surroundings import FakeEvidence
from tests.strangler.envoy.edge import SHOP, Edge, shop

RUGS = "catalog.read"
TEXT = (
    SHOP.replace("[homes.monolith]\n", '[databases.catalog]\nenv = "C"\n[homes.monolith]\n')
    .replace('process = "monolith"\n', 'process = "monolith"\ndatabase = "main"\n')
    .replace("[homes.catalog]\n", '[homes.catalog]\ndatabase = "catalog"\n')
    .replace('home = "catalog"\nroutes', 'home = "catalog"\ntables = ["catalog_rug"]\nroutes')
)


@dataclass(frozen=True)
class Loom:
    """A running system without its supervisor."""

    edge: Edge
    config: Config
    system: System


@pytest.fixture
def loom(tmp_path: Path) -> Iterator[Loom]:
    server = os.environ["DATABASE_URL"]
    prefix = f"test_strangler_loom_{secrets.token_hex(4)}"
    names = {one: f"{prefix}_{one}" for one in ("main", "catalog", "control")}
    parts = conninfo_to_dict(server)
    login = f"{parts['user']}:{parts['password']}" if "password" in parts else str(parts.get("user", ""))
    address = f"postgresql://{login}@{parts['host']}:{parts.get('port', 5432)}"
    urls = {one: f"{address}/{name}" for one, name in names.items()}
    (tmp_path / "strangler.toml").write_text(TEXT)
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f'CREATE DATABASE "{name}"')
        try:
            for one in ("main", "catalog"):
                _run(urls[one], "CREATE TABLE catalog_rug (id bigint PRIMARY KEY, name text NOT NULL)")
            _run(
                urls["main"],
                "INSERT INTO catalog_rug SELECT n, 'GARISH-RUG-' || n FROM generate_series(1, 500) n",
            )
            edge = Edge(tmp_path)
            try:
                yield Loom(edge, shop(tmp_path, text=TEXT), replace(edge.system, databases=urls))
            finally:
                edge.close()
        finally:
            for name in names.values():
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class WithEvidence(Actual):
    """The real surroundings, with more traffic behind them than a test has time for."""

    def evidence(self, capability, since):
        return FakeEvidence(captured=4000, comparable=4000, shapes=4000)


def test_a_capability_moves_on_real_parts(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        done = transition.advance_at(desk, RUGS, SHADOW)
        assert done is not None
        assert done.effects[0].detail.startswith("500 rows written")
        assert loom.edge.ask().home == "monolith"
        assert desk.gateway().agrees

        with pytest.raises(GatesHeld) as held:
            transition.advance_at(desk, RUGS, Phase("canary", 50))
        assert [gate.name for gate in held.value.plan.held] == ["coverage", "answers", "critical", "latency"]

        ready = replace(desk, surroundings=WithEvidence(loom.config, loom.system))
        transition.advance_at(ready, RUGS, Phase("canary", 50))
        assert {loom.edge.home_of(f"user{n}") for n in range(30)} == {"monolith", "catalog"}
        transition.advance_at(ready, RUGS, SWITCHED)
        assert loom.edge.ask().home == "catalog"
        assert desk.gateway().agrees

        back = transition.take_back_at(desk, RUGS)
        assert back is not None
        assert back.seconds is not None
        assert back.seconds < 2
        assert loom.edge.ask().home == "monolith"


def test_a_row_that_differs_holds_the_canary(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        transition.advance_at(desk, RUGS, SHADOW)
        _run(loom.system.databases["catalog"], "UPDATE catalog_rug SET name = 'PLAIN-RUG' WHERE id = 7")
        ready = replace(desk, surroundings=WithEvidence(loom.config, loom.system))
        with pytest.raises(GatesHeld, match="rows: catalog_rug differs"):
            transition.advance_at(ready, RUGS, Phase("canary", 10))


def test_a_service_that_is_not_there_holds_and_is_shown(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        loom.edge.kill("catalog")
        with pytest.raises(
            GatesHeld, match=r"service: catalog isn't ready: .* doesn't answer \(Connection refused\)"
        ):
            transition.advance_at(desk, RUGS, SHADOW)
        assert "NOT READY" in status_text(look(desk, RUGS))
        assert desk.store.standing(RUGS).phase == MONOLITH


def test_a_dead_gateway_is_shown_and_a_way_back_waits_for_its_next_start(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        transition.advance_at(desk, RUGS, SHADOW)
        loom.edge.kill("envoy")
        _is_away(desk)
        with pytest.raises(TransitionFailed, match="is recorded at monolith"):
            transition.take_back_at(desk, RUGS)
        from strangler.envoy import gateway

        gateway.prepare(loom.config, loom.system)
        loom.edge.start_envoy()
        assert desk.gateway().agrees
        assert transition.take_back_at(desk, RUGS) is None


def _is_away(desk: Desk) -> None:
    text = status_text(look(desk, RUGS))
    assert "GATEWAY   The gateway doesn't answer at http://127.0.0.1:" in text


def _run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
