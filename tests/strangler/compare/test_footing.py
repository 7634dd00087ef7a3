"""Evidence starts anew with a deployment of either home and with a changed rule, and with nothing else."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from strangler import config as configuration
from strangler.compare import evidence, store
from strangler.compare.evidence import Evidence
from strangler.compare.footing import Footing, rules
from strangler.compare.store import KEPT_DAYS, Hour
from strangler.compare.tally import Tally
from tests.strangler.compare.conftest import Project
from tests.strangler.compare.test_live import compare_until_done, until_it_is

Make = Callable[..., Project]
LONG_AGO = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TODAY = datetime.date(2026, 11, 26)


def compare(project: Project, *targets: str) -> Evidence:
    """What counts after the comparator has come up and compared these in a second of their own."""
    asyncio.run(compare_until_done(project))
    time.sleep(1.05)  # sums are kept by the second
    for target in targets:
        project.capture(target)
    asyncio.run(compare_until_done(project))
    return evidence.counting(project.system, "rugs.read", begun=LONG_AGO)


def test_evidence_goes_on_while_nothing_changes(project: Make) -> None:
    homes = project()
    compare(homes, "/api/rugs/1/", "/api/rugs/2/")
    seen = compare(homes, "/api/rugs/3/")
    assert (seen.comparable, seen.shapes, seen.captured) == (3, 3, 3)
    assert seen.laid is not None
    assert seen.laid.reason == "the comparator began"


@pytest.mark.parametrize("home", ["monolith", "service"])
def test_a_deployment_of_either_home_begins_it_anew(project: Make, home: str) -> None:
    homes = project(bug="price")
    compare(homes, "/api/rugs/1/", "/api/rugs/2/")
    {"monolith": homes.control, "service": homes.candidate}[home].version = "2b"
    seen = compare(homes, "/api/rugs/3/")
    assert (seen.comparable, seen.different, seen.shapes, len(seen.critical)) == (1, 1, 1, 1)
    assert seen.laid is not None
    assert seen.laid.reason == f"{home} was deployed anew (version 1a, now 2b)"
    assert seen.since == seen.laid.since
    watched = evidence.watched(homes.system, "rugs.read", begun=LONG_AGO)
    assert watched.hours == (Hour(1, comparable=1, different=1),)


def test_a_home_that_is_away_is_taken_to_be_as_it_was(project: Make) -> None:
    homes = project()
    compare(homes, "/api/rugs/1/")
    homes.candidate.stop()
    asyncio.run(compare_until_done(homes))
    seen = evidence.counting(homes.system, "rugs.read", begun=LONG_AGO)
    assert seen.comparable == 1
    assert seen.laid is not None
    assert seen.laid.footing.versions == {"monolith": "1a", "service": "1a"}


def test_a_changed_rule_begins_it_anew_and_is_named(project: Make) -> None:
    homes = project()
    compare(homes, "/api/rugs/1/")
    homes.declare(
        ignores='[[compare.ignore]]\nroute = "*"\npath = "$.stock"\nreason = "late"\nuntil = 2099-01-01'
    )
    seen = compare(homes, "/api/rugs/2/")
    assert seen.comparable == 1
    assert seen.laid is not None
    assert seen.laid.reason == "its ignores changed in strangler.toml"


def test_a_deployment_is_noticed_while_the_comparator_runs(project: Make) -> None:
    homes = project()

    async def deploy() -> None:
        from strangler.compare.live import Comparator

        stop = asyncio.Event()
        running = asyncio.create_task(Comparator(homes.config, homes.system).run(stop))
        await until_it_is(lambda: version() == "1a")
        homes.candidate.version = "2b"
        await until_it_is(lambda: version() == "2b")
        stop.set()
        await running

    def version() -> str | None:
        with store.connect(homes.system) as found:
            laid = found.laid("rugs.read")
        return laid.footing.versions["service"] if laid else None

    asyncio.run(deploy())


RULES = """
[project]
name = "rugs"
[homes.monolith]
url = "http://127.0.0.1:1"
[homes.catalog]
url = "http://127.0.0.1:2"
[gateway]
default = "monolith"
[capabilities."rugs.read"]
kind = "read"
home = "catalog"
phase = "shadow"
routes = ["GET /rugs/"]
tables = ["rug"]
[capabilities."rugs.read".gate]
mismatch_limit = 0.01
critical = ["$.price"]
[compare]
sample = 0.5
control = 0.5
[[compare.ignore]]
route = "GET /rugs/"
path = "$.served"
reason = "a clock"
until = 2026-12-31
"""


@pytest.mark.parametrize(
    ("text", "other", "parts"),
    [
        ('routes = ["GET /rugs/"]', 'routes = ["GET /rugs/", "GET /rugs/<int:pk>/"]', ["routes"]),
        ('tables = ["rug"]', 'tables = ["rug", "weaver"]', ["tables"]),
        ("mismatch_limit = 0.01", "mismatch_limit = 0.02", ["limits"]),
        ("mismatch_limit = 0.01", "mismatch_limit = 0.01\nfailure_limit = 0.5", ["limits"]),
        ('critical = ["$.price"]', "critical = []", ["critical fields"]),
        ('path = "$.served"', 'path = "$.at"', ["ignores"]),
        ("sample = 0.5", 'sample = 0.5\nkind_claim = "kind"', ["kinds of caller"]),
        ("sample = 0.5", "sample = 1.0", []),
        ("control = 0.5", "control = 1.0", []),
        ('phase = "shadow"', 'phase = "switched"', []),
        ('reason = "a clock"', 'reason = "a clock, not a fact"', []),
    ],
)
def test_what_a_verdict_hangs_on_is_in_the_rules(
    tmp_path: Path, text: str, other: str, parts: list[str]
) -> None:
    assert RULES.count(text) == 1
    before, after = (
        Footing({}, rules(config, config.capability("rugs.read"), TODAY))
        for config in (configuration.parse(one, tmp_path) for one in (RULES, RULES.replace(text, other)))
    )
    said = f"its {parts[0]} changed in strangler.toml" if parts else ""
    assert before.change_to(after) == said


def test_an_ignore_that_expires_changes_the_rules(tmp_path: Path) -> None:
    config = configuration.parse(RULES, tmp_path)
    days = [datetime.date(2026, 12, 30), datetime.date(2026, 12, 31), datetime.date(2027, 1, 1)]
    first, last_day, over = (rules(config, config.capability("rugs.read"), day) for day in days)
    assert first == last_day
    assert last_day["ignores"] != over["ignores"]


def test_hours_count_from_the_moment_on_and_a_half_forgotten_one_is_left_out(
    project: Make,
) -> None:
    homes = project()
    capability = homes.config.capability("rugs.read")
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    begun = now - datetime.timedelta(days=KEPT_DAYS, hours=1)
    tally = Tally(capability)
    for ago in (datetime.timedelta(days=KEPT_DAYS, minutes=30), datetime.timedelta(minutes=90)):
        tally.take((now - ago).timestamp(), "service", 500)
        tally.take((now - ago).timestamp(), "service", 200)
        tally.take((now - ago).timestamp(), "monolith", 500)
    with store.connect(homes.system) as kept:
        kept.write([tally])
        hours = kept.hours("rugs.read", begun)
        assert hours == [Hour(24 * KEPT_DAYS, answered=2, failed=1)]
        recent = kept.hours("rugs.read", now - datetime.timedelta(hours=2))
        assert recent == [Hour(1, answered=2, failed=1)]


def test_two_comparators_write_one_footing_once(project: Make) -> None:
    homes = project()
    footing = Footing({"monolith": "1a", "service": "1a"}, {"limits": "1f"})
    with store.connect(homes.system) as one, store.connect(homes.system) as other:
        one.lay("rugs.read", footing)
        other.lay("rugs.read", footing)
    with psycopg.connect(homes.database) as connection:
        found = connection.execute("select count(*) from strangler_compare.footing").fetchone()
    assert found == (1,)
