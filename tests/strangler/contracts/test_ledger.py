"""What was found out stays: rows are added, and the latest one counts."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from strangler.contracts import ledger
from strangler.contracts.ledger import Ledger, LedgerAway, Published, Result
from strangler.contracts.running import judge, settle, verdict_on
from strangler.contracts.verify import verify
from strangler.run.system import System
from tests.strangler.contracts.conftest import Rugs

PACT = Published("bazaar", "m1", "rugs.read", "p1")
RESULT = Result("bazaar", "rugs.read", "p1", "loom", "s1", 3, {"a rug's name": ["$.name: it is gone"]})


def test_the_latest_result_of_a_version_counts_and_the_earlier_ones_stay(
    book: Ledger, ledger_url: str
) -> None:
    book.add_results([RESULT], "anna")
    book.add_results([replace(RESULT, failed={})], "anna")
    book.add_results([replace(RESULT, version="s2")], "anna")
    assert {(one.version, one.passed) for one in book.results()} == {("s1", True), ("s2", False)}
    with psycopg.connect(ledger_url) as database:
        rows = database.execute("SELECT count(*) FROM strangler_contracts.result").fetchone()
    assert rows == (3,)


def test_a_pact_is_recorded_once_for_each_version_of_its_consumer(book: Ledger, ledger_url: str) -> None:
    for _ in range(2):
        book.publish([(PACT, "{}"), (replace(PACT, version="m2"), "{}")])
    book.publish([(replace(PACT, hash="p2"), '{"other": 1}')])
    assert {(one.version, one.hash) for one in book.published()} == {("m1", "p2"), ("m2", "p1")}
    assert book.content(replace(PACT, hash="p2")) == '{"other": 1}'
    assert book.content(replace(PACT, hash="p9")) == ""
    book.publish([(replace(PACT, consumer="heddle", hash="p2"), '{"heddle": 1}')])
    assert book.content(replace(PACT, consumer="heddle", hash="p2")) == '{"heddle": 1}'
    assert book.content(replace(PACT, hash="p2")) == '{"other": 1}'


def test_a_deployment_is_recorded_when_it_is_another_one(book: Ledger) -> None:
    book.deploy({"loom": "s1", "monolith": "m1"}, "anna")
    since = {one.home: one.at for one in book.deployed()}
    book.deploy({"loom": "s2", "monolith": "m1"}, "bea")
    assert {one.home: (one.version, one.by) for one in book.deployed()} == {
        "loom": ("s2", "bea"),
        "monolith": ("m1", "anna"),
    }
    assert {one.home: one.at for one in book.deployed()}["monolith"] == since["monolith"]


@pytest.mark.parametrize("table", ["pact", "result", "deployment"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}"])
def test_nothing_is_ever_changed_in_it(book: Ledger, ledger_url: str, table: str, statement: str) -> None:
    with psycopg.connect(ledger_url) as database, pytest.raises(psycopg.errors.RaiseException, match="only"):
        database.execute(statement.format(f"strangler_contracts.{table}"))


def test_a_ledger_that_is_away_is_a_no(rugs: Rugs, system: System) -> None:
    away = replace(system, databases={"control": "postgresql://nobody@127.0.0.1:9/nothing"})
    with pytest.raises(LedgerAway, match="Nothing was recorded"):
        ledger.connect(away.databases["control"])
    verdict = verdict_on(rugs.config(), away, "rugs.read")
    assert (verdict.deployable, "can't be used" in verdict.sentence) == (False, True)


def test_what_was_verified_may_be_routed_to_and_no_other_version(
    rugs: Rugs, system: System, book: Ledger
) -> None:
    config = rugs.config()
    assert settle(config, system, verify(config), "anna") == []

    def may(loom: str, monolith: str = "m1") -> bool:
        versions = {"monolith": monolith, "loom": loom}
        return judge(config, book, versions, ["rugs.read"])[0].deployable

    assert may("s1")
    assert not may("s2")
    assert not may("s1", monolith="m2")

    broken = rugs.config(loom={"id": 7, "price": "12.50"}, versions=("m1", "s2"))
    settle(broken, system, verify(broken), "anna")
    assert not may("s2")
    assert may("s1")


def test_a_home_without_a_version_is_not_recorded(rugs: Rugs, system: System, book: Ledger) -> None:
    config = rugs.config(versions=("m1", ""))
    lines = settle(config, system, verify(config), "anna")
    assert lines == ["Results of loom aren't recorded: it doesn't say which version it is."]
    assert {one.home for one in book.results()} == {"monolith"}
