"""The record on a real PostgreSQL: what it keeps, what it refuses, and who may act."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from strangler.control.errors import ControlDatabaseAway, OperatorBusy
from strangler.control.phases import MONOLITH, SHADOW, Phase
from strangler.control.store import Standing, Store, connect
from strangler.errors import StranglerError
from strangler.run.system import System

RUGS = "catalog.read"


def test_what_has_never_moved_is_at_the_monolith(store: Store) -> None:
    assert store.standing(RUGS) == Standing(RUGS, MONOLITH, 0, None, None)
    assert store.phases() == {}


def test_connecting_again_keeps_what_was_recorded(system: System, store: Store) -> None:
    store.record(RUGS, Phase("canary", 10), 1, "anna")
    with connect(system) as again:
        assert again.phases() == {RUGS: Phase("canary", 10)}


def test_eight_that_connect_at_once_all_find_a_schema(system: System) -> None:
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            connect(system).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_recording_twice_changes_nothing(store: Store) -> None:
    store.record(RUGS, SHADOW, 1, "anna")
    first = store.standing(RUGS)
    store.record(RUGS, SHADOW, 1, "bert")
    assert store.standing(RUGS) == first


def test_a_revision_can_not_be_skipped_or_overwritten(store: Store) -> None:
    store.record(RUGS, SHADOW, 1, "anna")
    for phase, revision in ((MONOLITH, 1), (Phase("canary", 10), 3)):
        with pytest.raises(StranglerError, match="The record stayed as it was: shadow"):
            store.record(RUGS, phase, revision, "bert")
    assert store.standing(RUGS).revision == 1


def test_a_capability_has_one_unfinished_transition_at_most(store: Store) -> None:
    store.begin(store.standing(RUGS), SHADOW, "anna", [])
    with pytest.raises(psycopg.errors.UniqueViolation):
        store.begin(store.standing(RUGS), SHADOW, "bert", [])


def test_the_history_tells_what_came_of_every_effect(store: Store) -> None:
    begun = store.begin(store.standing(RUGS), SHADOW, "anna", [("publish_routes", {"phase": "shadow"})])
    assert begun.state == "running"
    assert begun.effects[0].state == "waiting"
    store.mark_effect(begun.id, 0, "running")
    store.mark_effect(begun.id, 0, "done", "taken")
    store.finish(begun.id, "done")
    (told,) = store.history(RUGS)
    assert (told.state, told.by, told.seconds is not None) == ("done", "anna", True)
    assert (told.effects[0].state, told.effects[0].detail) == ("done", "taken")
    assert store.history("another.read") == []


def test_a_second_operator_is_refused_with_the_firsts_name(system: System, store: Store) -> None:
    with connect(system) as second, store.operating(RUGS, "anna@loom"):
        with pytest.raises(OperatorBusy, match=r"is being moved right now by anna@loom, since \d\d:\d\d"):
            second.operating(RUGS, "bert@loom").__enter__()
        with second.operating("reviews.read", "bert@loom"):
            pass  # another capability is free


def test_the_lock_of_a_killed_operator_is_gone(system: System, store: Store) -> None:
    script = (
        "import os, sys; from pathlib import Path; from strangler.control.store import connect\n"
        "from tests.strangler.control.wanted import a_system\n"
        "store = connect(a_system(Path('.'), sys.argv[1]))\n"
        "lock = store.operating('catalog.read', 'anna@loom'); lock.__enter__()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, system.databases["control"]],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert store.operator(RUGS).name == "anna@loom"
        child.kill()
        child.wait()
    with store.operating(RUGS, "bert@loom"):
        assert store.operator(RUGS).name == "bert@loom"


def test_a_database_that_refuses_is_one_sentence(system: System) -> None:
    nowhere = replace(system, databases={"control": "postgresql://anna:secret@127.0.0.1:1/control"})
    with pytest.raises(ControlDatabaseAway) as refusal:
        connect(nowhere)
    assert "The control database 127.0.0.1:1/control can't be used: connection to server" in str(
        refusal.value
    )
    assert "Nothing was changed" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_database_that_goes_away_is_one_sentence(system: System, store: Store) -> None:
    with psycopg.connect(system.databases["control"], autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(ControlDatabaseAway, match="The control database went away"):
        store.phases()
