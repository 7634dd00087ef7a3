"""The control plane on a real Envoy, real homes, databases and follower.

What takes a day of traffic or a run of pacts to gather is made up: the evidence and the contracts.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from strangler.compare.footing import Footing, Laid
from strangler.config import Capability, Config
from strangler.control import transition
from strangler.control.desk import Desk, at_desk
from strangler.control.errors import GatesHeld, TransitionFailed
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.control.status import look
from strangler.control.surroundings import Actual
from strangler.control.text import status as status_text
from strangler.run.system import System
from tests.fakes.control_surroundings import NOON, VERSIONS, FakeContracts, FakeEvidence
from tests.strangler.envoy.edge import SHOP, Edge, shop
from tests.strangler.servers import a_database, a_follower, sql, url_of
from tests.waiting import until

PROJECT = Path(__file__).parents[3]
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
    (tmp_path / "strangler.toml").write_text(TEXT)
    with ExitStack() as until_there:
        role, password = until_there.enter_context(a_follower(applier=False))
        owners = {"main": "", "catalog": role, "control": ""}
        names = {
            one: until_there.enter_context(a_database(f"loom_{one}", owner=owner))
            for one, owner in owners.items()
        }
        urls = {one: url_of(name) for one, name in names.items()}
        urls["catalog"] = url_of(names["catalog"], f"{role}:{password}")
        for one in ("main", "catalog"):
            sql(urls[one], "CREATE TABLE catalog_rug (id bigint PRIMARY KEY, name text NOT NULL)")
        sql(
            urls["main"],
            "INSERT INTO catalog_rug SELECT n, 'GARISH-RUG-' || n FROM generate_series(1, 500) n",
        )
        edge = until_there.enter_context(closing(Edge(tmp_path)))
        yield Loom(edge, shop(tmp_path, text=TEXT), replace(edge.system, databases=urls))


@pytest.fixture
def follower(loom: Loom) -> Iterator[Callable[[], None]]:
    """The follower's process, as the supervisor runs it; yields what starts it once more."""
    loom.system.save()
    children: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for child in children:
            child.kill()
            child.wait()
        with (loom.system.state / "follower.log").open("ab") as log:
            command = [sys.executable, "-m", "strangler.movement.follower", "catalog"]
            children.append(subprocess.Popen([*command, "--root", loom.system.root], cwd=PROJECT, stderr=log))

    start()
    yield start
    for child in children:
        child.kill()
        child.wait()


class WithEvidence(Actual):
    """The real surroundings, with more traffic behind them than a test has time for."""

    def evidence(self, capability, since):
        laid = Laid(Footing(VERSIONS, self.rules(capability)), NOON, "the comparator began")
        return FakeEvidence(captured=4000, comparable=4000, shapes=4000, laid=laid)

    def contracts(self, capability):
        return FakeContracts()


@pytest.mark.usefixtures("follower")
def test_a_capability_moves_on_real_parts(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        done = transition.advance_at(desk, RUGS, SHADOW)
        assert done is not None
        assert "and 500 rows" in done.effects[1].detail
        assert loom.edge.ask().home == "monolith"
        assert desk.gateway().agrees

        with pytest.raises(GatesHeld) as held:
            transition.advance_at(desk, RUGS, Phase("canary", 50))
        assert [gate.name for gate in held.value.plan.held] == [
            "contracts",
            "footing",
            "coverage",
            "answers",
            "critical",
            "latency",
        ]

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


@pytest.mark.usefixtures("follower")
def test_a_row_that_differs_is_found_without_being_looked_for_and_holds_the_canary(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        transition.advance_at(desk, RUGS, SHADOW)
        sql(loom.system.databases["catalog"], "UPDATE catalog_rug SET name = 'PLAIN-RUG' WHERE id = 7")
        ready = replace(desk, surroundings=WithEvidence(loom.config, loom.system))
        until(lambda: not desk.following(_rugs(desk)).round.equal)
        with pytest.raises(GatesHeld, match=r"rows: .*catalog_rug \(7\) is different at the follower"):
            transition.advance_at(ready, RUGS, Phase("canary", 10))


def test_a_follower_that_dies_is_noticed_and_one_that_holds_says_why(
    loom: Loom, follower: Callable[[], None]
) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        transition.advance_at(desk, RUGS, SHADOW)
        ready = replace(desk, surroundings=WithEvidence(loom.config, loom.system))
        sql(loom.system.databases["main"], "ALTER TABLE catalog_rug ADD COLUMN knots int")
        sql(loom.system.databases["main"], "UPDATE catalog_rug SET knots = 7")
        until(lambda: desk.following(_rugs(desk)).held)
        with pytest.raises(GatesHeld, match=r"follows: The follower holds: .*the follower lacks knots"):
            transition.advance_at(ready, RUGS, Phase("canary", 10))
        assert "the follower lacks knots (integer)" in " ".join(status_text(look(desk, RUGS)).split())
        sql(loom.system.databases["catalog"], "ALTER TABLE catalog_rug ADD COLUMN knots int")
        follower()  # killed and started anew in the middle of it
        transition.advance_at(ready, RUGS, Phase("canary", 10), wait=30)
        rugs = "SELECT sum(knots) FROM catalog_rug"
        until(lambda: sql(loom.system.databases["catalog"], rugs) == [(3500,)])


@pytest.mark.usefixtures("follower")
def test_what_is_cancelled_follows_no_more_and_can_follow_again(loom: Loom) -> None:
    main, catalog = loom.system.databases["main"], loom.system.databases["catalog"]
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        transition.advance_at(desk, RUGS, SHADOW)
        done = transition.cancel_at(desk, RUGS)
        assert "catalog_rug follow no more" in done.effects[-1].detail
        assert sql(main, "SELECT to_regnamespace('strangler_capture')::text") == [(None,)]
        assert sql(main, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%strangler%'") == [(0,)]
        sql(main, "UPDATE catalog_rug SET name = 'PLAIN-RUG' WHERE id = 7")
        assert sql(catalog, "SELECT count(*) FROM catalog_rug") == [(500,)]
        assert transition.cancel_at(desk, RUGS).state == "done"
        transition.advance_at(desk, RUGS, SHADOW)
        assert sql(catalog, "SELECT name FROM catalog_rug WHERE id = 7") == [("PLAIN-RUG",)]


def test_without_a_follower_the_move_fails_says_so_and_goes_on_with_one(
    loom: Loom, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("strangler.movement.operations.WITHIN_SECONDS", 0.3)
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        with pytest.raises(TransitionFailed, match="The follower doesn't speak; see `strangler ps`"):
            transition.advance_at(desk, RUGS, SHADOW)
        sql(loom.system.databases["main"], "UPDATE catalog_rug SET name = 'PLAIN-RUG' WHERE id = 7")
        assert desk.store.standing(RUGS).phase == MONOLITH
        monkeypatch.undo()
        request.getfixturevalue("follower")
        assert transition.advance_at(desk, RUGS, SHADOW).state == "done"


def test_a_table_that_can_not_follow_is_shown_before_anything_is_done(loom: Loom) -> None:
    main = loom.system.databases["main"]
    sql(main, "ALTER TABLE catalog_rug DROP CONSTRAINT catalog_rug_pkey")
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        assert "no primary key" in status_text(look(desk, RUGS))
        with pytest.raises(GatesHeld, match="tables: The owner's table catalog_rug has no primary key"):
            transition.advance_at(desk, RUGS, SHADOW)
        sql(main, "ALTER TABLE catalog_rug ADD PRIMARY KEY (id)")
        sql(
            main,
            """CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
               CREATE TRIGGER "00_strangler_row" AFTER INSERT ON catalog_rug
               FOR EACH ROW EXECUTE FUNCTION theirs()""",
        )
        with pytest.raises(GatesHeld, match="has a trigger 00_strangler_row that isn't ours"):
            transition.advance_at(desk, RUGS, SHADOW)
        assert sql(main, "SELECT to_regnamespace('strangler_capture')::text") == [(None,)]


def test_a_service_that_is_not_there_holds_and_is_shown(loom: Loom) -> None:
    with at_desk(loom.config, loom.system, "anna@loom") as desk:
        loom.edge.kill("catalog")
        with pytest.raises(
            GatesHeld, match=r"service: catalog isn't ready: .* doesn't answer \(Connection refused\)"
        ):
            transition.advance_at(desk, RUGS, SHADOW)
        assert "NOT READY" in status_text(look(desk, RUGS))
        assert desk.store.standing(RUGS).phase == MONOLITH


@pytest.mark.usefixtures("follower")
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


def _rugs(desk: Desk) -> Capability:
    return desk.capability(RUGS)
