"""The comparator finds in captured traffic what a replay finds, and keeps it in the control database."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from strangler.compare import evidence, recording
from strangler.compare.evidence import Evidence
from strangler.compare.live import Comparator
from strangler.control.phases import MONOLITH
from tests.strangler.compare.conftest import HOST, Project, everything
from tests.strangler.compare.homes import token_for
from tests.strangler.compare.test_replay import FINDINGS, LIST, located
from tests.strangler.servers import sql
from tests.waiting import until

Make = Callable[..., Project]


def captured(project: Project, home: str = "monolith") -> int:
    """Traffic that meets every bug, as the gateway leaves it; returns the number of requests."""
    for target, caller in everything():
        project.capture(target, user=caller.subject, home=home)
    return len(everything())


async def compare_until_done(project: Project, **databases: str) -> None:
    """The comparator, until nothing that was captured is left; `databases` are known to it besides."""
    system = dataclasses.replace(project.system, databases=project.system.databases | databases)
    stop, comparator = asyncio.Event(), Comparator(project.config, system)
    running = asyncio.create_task(comparator.run(stop))
    await until_it_is(lambda: not any(system.capture_directory.iterdir()))
    await comparator.queue.join()
    stop.set()
    await running


async def until_it_is(true: Callable[[], object]) -> None:
    await asyncio.to_thread(until, true)


def compared(project: Project, **databases: str) -> Evidence:
    asyncio.run(compare_until_done(project, **databases))
    return evidence.evidence(project.system, "rugs.read", since=None)


@pytest.mark.parametrize("home", ["monolith", "service"])
@pytest.mark.parametrize("bug", FINDINGS)
def test_a_seeded_bug_is_found_whoever_answered_the_client(project: Make, bug: str, home: str) -> None:
    homes = project(bug=bug)
    count = captured(homes, home)
    seen = compared(homes)
    assert located(seen) == FINDINGS[bug]
    assert (seen.captured, seen.comparable, seen.coverage) == (count, count, 1.0)
    assert bool(seen.critical) == any(critical for *_, critical in FINDINGS[bug])


def test_nothing_is_compared_before_a_capability_has_left_the_monolith(project: Make) -> None:
    homes = project(bug="price")
    homes.move(MONOLITH)
    count = captured(homes)
    seen = compared(homes)
    assert (seen.captured, seen.comparable, seen.fields) == (0, 0, ())
    assert len(recording.read(recording.path_of(homes.root, "rugs.read"))) == count


def test_what_is_under_way_lowers_no_coverage(project: Make) -> None:
    homes = project()
    homes.capture("/api/rugs/7/")
    comparator = Comparator(homes.config, homes.system)
    comparator.compared = frozenset({"rugs.read"})
    comparator._take_in()
    assert comparator.queue.qsize() == 1
    assert not comparator.tallies["rugs.read"].captured  # counted with its outcome


def test_a_tripled_latency_is_found_by_route(project: Make) -> None:
    homes = project(bug="slow")
    homes.declare(share=1.0)
    captured(homes)
    seen = compared(homes)
    assert seen.different == 0
    assert [one.route for one in seen.slower(0.5)] == [LIST]
    assert len(seen.latencies["service"]) == len(seen.latencies["monolith"]) == len(everything())


def test_equal_homes_are_the_same_and_thin_traffic_is_timed_all_the_same(project: Make) -> None:
    homes = project()
    homes.declare(share=0.0)
    count = captured(homes)
    seen = compared(homes)
    assert (seen.same, seen.fields, seen.shapes, seen.dropped) == (count, (), count, 0)
    assert 1 <= len(seen.latencies["service"]) < count


def test_a_thousand_equal_requests_are_one_shape(project: Make) -> None:
    homes = project()
    for _ in range(50):
        homes.capture("/api/rugs/7/")
    seen = compared(homes)
    assert (seen.comparable, seen.shapes) == (50, 1)


def test_a_clock_is_excused_and_does_not_hide_a_wrong_price(project: Make) -> None:
    homes = project(bug="price", quirk="clock")
    captured(homes)
    seen = compared(homes)
    assert located(seen) == FINDINGS["price"]
    assert {one.path for one in seen.fields if one.verdict == "excused"} == {"$.served"}


def test_a_write_in_between_settles_and_is_shown(project: Make) -> None:
    homes = project()
    homes.declare(share=0.0)  # or both homes would be asked anew for each
    for number in range(1, 30):
        homes.capture(f"/api/rugs/{number}/")
    homes.control.prices = homes.candidate.prices = lambda number: 9990
    seen = compared(homes)
    assert seen.settled > 10
    assert seen.different == 0
    assert ("$.price", "settled") in {(one.path, one.verdict) for one in seen.fields}


def test_a_candidate_that_wavers_while_the_control_stands_still_differs(project: Make) -> None:
    homes = project(bug="late")
    homes.capture("/api/rugs/7/")
    seen = compared(homes)
    assert (seen.settled, seen.different, seen.comparable) == (0, 1, 1)
    assert [(one.path, one.verdict) for one in seen.fields] == [("$.price", "different")]


def test_what_a_client_got_from_a_candidate_that_wavers_settles_since_the_control_was_asked_later(
    project: Make,
) -> None:
    homes = project(bug="late")
    homes.declare(share=0.0)
    for number in range(1, 30):
        homes.capture(f"/api/rugs/{number}/", home="service")
    seen = compared(homes)
    assert seen.settled > seen.different
    assert seen.settled + seen.different + seen.same == seen.captured == 29


def test_sessions_are_exchanged_once_and_tokens_passed_through(project: Make) -> None:
    homes = project()
    for number in (1, 2, 3):
        homes.capture(f"/api/rugs/{number}/", user="buyer1")
    homes.capture("/api/rugs/4/", bearer="staff1")
    homes.capture("/api/rugs/5/", user="logged out")
    seen = compared(homes)
    asked = {target: (host, authorization) for target, host, authorization in homes.candidate.asked}
    assert asked["/api/rugs/1/"] == (HOST, f"Bearer {token_for('buyer1')}")
    assert asked["/api/rugs/4/"] == (HOST, f"Bearer {token_for('staff1')}")
    assert asked["/api/rugs/5/"] == (HOST, "")
    assert homes.control.exchanged == 2
    callers = {kind: n for route in seen.routes for kind, n in route.callers.items()}
    assert callers == {"buyer": 3, "seller_staff": 1, "anonymous": 1}


def test_what_cannot_be_compared_is_counted_by_reason(project: Make) -> None:
    homes = project()
    homes.capture("/api/rugs/1/", truncated=True)
    homes.capture("/api/rugs/2/", encoding="br")
    path = homes.capture("/api/rugs/3/")
    path.write_text(path.read_text().replace('"x-strangler-home"', '"x-other"'))
    homes.capture("/api/rugs/4/")
    seen = compared(homes)
    assert seen.reasons == {
        "the captured body was cut off": 1,
        "the body's encoding isn't known here": 1,
        "answered by neither home": 1,
    }
    assert (seen.captured, seen.comparable, seen.coverage) == (4, 1, 0.25)


def test_a_home_that_is_away_costs_coverage_and_is_named(project: Make) -> None:
    homes = project()
    homes.capture("/api/rugs/1/")
    homes.capture("/api/rugs/2/", user="buyer1")
    homes.candidate.stop()
    seen = compared(homes)
    assert (seen.reasons, seen.comparable) == ({"couldn't ask service": 2}, 0)


def test_a_full_queue_drops_and_counts(project: Make) -> None:
    homes = project()
    text = (homes.root / "strangler.toml").read_text()
    (homes.root / "strangler.toml").write_text(text.replace("[compare]", "[compare]\nqueue = 3"))
    captured(homes)
    seen = compared(homes)
    assert seen.captured == len(everything())
    assert seen.dropped == len(everything()) - 3
    assert seen.comparable == 3


def test_nothing_captured_is_no_coverage(project: Make) -> None:
    seen = compared(project())
    assert (seen.captured, seen.coverage, seen.comparable, seen.routes) == (0, None, 0, ())


def test_evidence_counts_from_the_moment_that_is_asked_for(project: Make) -> None:
    homes = project(bug="price")
    homes.capture("/api/rugs/7/")
    os.utime(next(homes.system.capture_directory.iterdir()), (time.time() - 30, time.time() - 30))
    homes.capture("/api/rugs/8/")
    asyncio.run(compare_until_done(homes))
    now = datetime.datetime.now(datetime.UTC)
    since = {
        ago: evidence.evidence(homes.system, "rugs.read", since=now - datetime.timedelta(seconds=ago))
        for ago in (60, 15, -60)
    }
    assert [since[ago].comparable for ago in (60, 15, -60)] == [2, 1, 0]
    assert [since[ago].captured for ago in (60, 15, -60)] == [2, 1, 0]
    assert [since[ago].shapes for ago in (60, 15, -60)] == [2, 1, 0]


def test_batches_add_up_and_the_latest_samples_stay(project: Make) -> None:
    homes = project(bug="price")
    for number in range(1, 7):
        homes.capture(f"/api/rugs/{number}/")
        asyncio.run(compare_until_done(homes))
    seen = evidence.evidence(homes.system, "rugs.read", since=None)
    (one,) = seen.fields
    assert one.requests == 6
    assert 1 <= len(one.samples) <= 3
    assert one.samples[-1].request == "GET /api/rugs/6/"


def test_the_recording_holds_what_was_seen_and_no_credential(project: Make) -> None:
    homes = project()
    homes.capture("/api/rugs/7/?api_key=hunter2", user="buyer1")
    homes.capture("/api/rugs/8/", bearer="staff1")
    compared(homes)
    path = recording.path_of(homes.root, "rugs.read")
    assert {(one.target, one.caller.subject) for one in recording.read(path)} == {
        ("/api/rugs/7/?api_key=redacted", "buyer1"),
        ("/api/rugs/8/", "staff1"),
    }
    content = path.read_text()
    assert "hunter2" not in content
    assert "sessionid" not in content
    assert token_for("staff1")[:20] not in content


def test_what_was_compared_while_the_database_was_away_is_stored_when_it_is_back(project: Make) -> None:
    async def outage(homes: Project) -> None:
        comparator, stop = Flushing(homes.config, homes.system), asyncio.Event()
        running = asyncio.create_task(comparator.run(stop))
        await until_it_is(lambda: comparator.compared)
        comparator.system = dataclasses.replace(
            homes.system, databases={"control": "postgresql://nobody@127.0.0.1:1/none"}
        )
        sql(homes.database, CUT_EVERYBODY_OFF)
        homes.capture("/api/rugs/7/")
        await until_it_is(lambda: not any(homes.system.capture_directory.iterdir()))
        await comparator.queue.join()
        before = len(comparator.flushed)
        await until_it_is(lambda: len(comparator.flushed) > before + 1)
        assert not any(comparator.flushed[before:])
        comparator.system = homes.system
        homes.capture("/api/rugs/8/")
        await until_it_is(lambda: not any(homes.system.capture_directory.iterdir()))
        await comparator.queue.join()
        stop.set()
        await running

    homes = project(bug="price")
    asyncio.run(outage(homes))
    seen = evidence.evidence(homes.system, "rugs.read", since=None)
    assert (seen.captured, seen.different) == (2, 2)


CUT_EVERYBODY_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Flushing(Comparator):
    """Notes of every flush whether the database has taken it."""

    flushed: tuple[bool, ...] = ()

    async def _store(self, forget: bool) -> bool:
        done = await super()._store(forget)
        self.flushed = (*self.flushed, done)
        return done


def start(homes: Project, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "strangler.compare.live", "--root", str(homes.root)]
    with log.open("ab") as file:
        return subprocess.Popen(command, stderr=file, stdout=file)


def test_the_process_waits_for_a_system_compares_and_stops_cleanly(project: Make, tmp_path: Path) -> None:
    homes, log = project(bug="price"), tmp_path / "comparator.log"
    for round_ in (1, 2):  # the second one finds what the first one stored
        child = start(homes, log)
        try:
            if round_ == 1:
                time.sleep(0.5)
                assert child.poll() is None  # nothing is described yet: it waits
                homes.system.save()
            homes.capture(f"/api/rugs/{round_}/")
            until(lambda: not any(homes.system.capture_directory.iterdir()), said=log.read_text)
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0, log.read_text()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        seen = evidence.evidence(homes.system, "rugs.read", since=None)
        assert seen.different == round_, log.read_text()
    assert "Traceback" not in log.read_text()


def test_an_edited_file_is_noticed_and_a_broken_one_is_named(project: Make, tmp_path: Path) -> None:
    homes, log = project(bug="field"), tmp_path / "comparator.log"
    homes.system.save()
    child = start(homes, log)

    def verdicts() -> set[str]:
        return {one.verdict for one in evidence.evidence(homes.system, "rugs.read", since=None).fields}

    try:
        homes.capture("/api/rugs/7/")
        until(lambda: verdicts() == {"different"}, said=log.read_text)
        whole = (homes.root / "strangler.toml").read_text()
        (homes.root / "strangler.toml").write_text("[project")
        until(lambda: "Nothing is compared until that is mended" in log.read_text(), said=log.read_text)
        (homes.root / "strangler.toml").write_text(
            whole
            + '\n[[compare.ignore]]\nroute = "*"\npath = "$.stock"\nreason = "moves"\nuntil = 2999-01-01\n'
        )
        until(lambda: log.read_text().count("Comparing what") == 2, said=log.read_text)
        homes.capture("/api/rugs/7/")
        until(lambda: verdicts() == {"different", "ignored"}, said=log.read_text)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0, log.read_text()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def test_two_processes_may_make_the_schema_at_once(project: Make) -> None:
    homes = project()

    async def both() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(evidence.evidence, homes.system, "rugs.read", since=None) for _ in range(6))
        )

    asyncio.run(both())
    with psycopg.connect(homes.database) as connection:
        found = connection.execute(
            "select count(*) from information_schema.tables where table_schema = 'strangler_compare'"
        ).fetchone()
    assert found == (7,)
