"""Every corrupted row is found by table and key, none is invented under writes, and all are mended."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from strangler import cli
from strangler.movement import verify as verification
from strangler.movement.errors import CopyRefused, FollowFailed
from strangler.movement.follow import following
from strangler.movement.verify import Difference, resend, verify
from strangler.run.system import System
from tests.strangler.movement.test_follower_process import TOML

RUG = "CREATE TABLE rug (id int PRIMARY KEY, sku text NOT NULL UNIQUE, price numeric, extra json)"
KNOT = "CREATE TABLE knot (kind text, n int, note text, PRIMARY KEY (kind, n))"
TABLES = ["rug", "knot"]

# Each changes one row at the follower alone.
CORRUPTIONS = {
    Difference("rug", ("7",), "different"): "UPDATE rug SET price = price + 0.01 WHERE id = 7",
    Difference("rug", ("8",), "different"): "UPDATE rug SET price = 8.0 WHERE id = 8",
    Difference("rug", ("9",), "different"): "UPDATE rug SET extra = NULL WHERE id = 9",
    Difference("rug", ("10",), "different"): """UPDATE rug SET extra = '{"a":  1}' WHERE id = 10""",
    Difference("rug", ("11",), "missing"): "DELETE FROM rug WHERE id = 11",
    Difference("rug", ("-1",), "extra"): "INSERT INTO rug VALUES (-1, 'NOBODY''S')",
    Difference("rug", ("12",), "different"): "UPDATE rug SET sku = 'garish-rug-12' WHERE id = 12",
    Difference("knot", ("a b", "1"), "different"): "UPDATE knot SET note = NULL WHERE kind = 'a b' AND n = 1",
    Difference("knot", ('q",u(o', "2"), "missing"): "DELETE FROM knot WHERE kind LIKE 'q%' AND n = 2",
    Difference("knot", ("NULL", "3"), "extra"): "INSERT INTO knot VALUES ('NULL', 3, '')",
}


@pytest.fixture
def rugs(pair):
    """2,000 rugs and some knots with awkward keys at the owner."""
    pair.on_both(RUG, KNOT)
    pair.on_owner(
        """INSERT INTO rug
           SELECT n, 'GARISH-RUG-' || n, n, CASE n WHEN 9 THEN 'null' ELSE '{"a": 1}' END::json
           FROM generate_series(1, 2000) AS n""",
        """INSERT INTO knot
           SELECT kind, n, '' FROM generate_series(1, 5) AS n, (VALUES ('a b'), ('q",u(o')) AS k(kind)""",
    )
    return pair


@contextmanager
def followed(pair) -> Iterator[None]:
    """A stream that runs beside the block."""
    stop, there = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    def follow() -> None:
        try:
            with following(pair.owner, pair.applier, TABLES) as stream:
                stream.catch_up()
                there.set()
                while not stop.is_set():
                    if stream.step().idle:
                        stop.wait(0.01)
        except BaseException as problem:
            problems.append(problem)
            there.set()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        assert there.wait(20)
        yield
    finally:
        stop.set()
        thread.join()
    assert not problems, problems


@contextmanager
def written(pair, rows: range) -> Iterator[list[int]]:
    """Two writers that update, delete and insert rugs of `rows` at the owner as fast as they can."""
    stop, counts = threading.Event(), [0, 0]

    def write(writer: int) -> None:
        with psycopg.connect(pair.owner, autocommit=True) as connection:
            while not stop.is_set():
                id_ = random.choice(rows)
                connection.execute(
                    random.choice(
                        [
                            "UPDATE rug SET price = price + 1 WHERE id = %(id)s",
                            "UPDATE rug SET price = 1 WHERE id = %(id)s",
                            "DELETE FROM rug WHERE id = %(id)s",
                            "INSERT INTO rug VALUES (%(id)s, 'R' || %(id)s, 1) ON CONFLICT DO NOTHING",
                        ]
                    ),
                    {"id": id_},
                )
                counts[writer] += 1

    writers = [threading.Thread(target=write, args=[n]) for n in range(2)]
    for writer in writers:
        writer.start()
    try:
        yield counts
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_ten_corruptions_are_found_under_writes_none_is_invented_and_all_are_mended(rugs):
    with followed(rugs), written(rugs, range(100, 2000)) as counts:
        rugs.on_follower(*CORRUPTIONS.values())
        before = sum(counts)
        found = verify(rugs.owner, rugs.follower, TABLES)
        assert sum(counts) > before, "it was written meanwhile"
        assert set(found.differences) == set(CORRUPTIONS)
        assert [table.unsettled for table in found.tables] == [(), ()]
        assert found.followed
        assert not found.equal
        assert resend(rugs.owner, found.differences) == 10
        mended = verify(rugs.owner, rugs.follower, TABLES)
        assert mended.equal, mended.reason
    logged = rugs.on_owner("SELECT table_name, key, difference FROM strangler_capture.repair")
    assert {Difference(table, tuple(key), kind) for table, key, kind in logged} == set(CORRUPTIONS)


def test_without_the_second_look_rows_under_way_would_be_invented(rugs, monkeypatch):
    """The mutant: what differs at first sight counts."""
    monkeypatch.setattr(
        verification._Look,
        "_settle",
        lambda self, suspects: ([Difference(self.table.name, key, "different") for key in suspects], set()),
    )
    with followed(rugs), written(rugs, range(100, 2000)):
        for _ in range(50):
            if verify(rugs.owner, rugs.follower, TABLES).differences:
                return
    raise AssertionError("nothing was invented: the writers don't put it to the test")


def test_a_row_that_never_settles_is_not_called_equal(rugs, monkeypatch):
    look = verification._Look
    monkeypatch.setattr(verification, "LOOKS", 3)
    versions = look._versions

    def written_before_each_look(self, keys):
        rugs.on_owner("UPDATE rug SET price = price + 1 WHERE id = 7")
        return versions(self, keys)

    monkeypatch.setattr(look, "_versions", written_before_each_look)
    with followed(rugs):
        rugs.on_follower(*list(CORRUPTIONS.values())[:1])
        found = verify(rugs.owner, rugs.follower, TABLES)
    assert found.tables[0].unsettled == (("7",),)
    assert not found.differences
    assert not found.equal
    assert "1 never settled" in found.reason


def test_a_stream_that_stands_still_is_said(rugs, monkeypatch):
    with followed(rugs):
        pass
    rugs.on_follower("DELETE FROM rug WHERE id = 1")
    monkeypatch.setattr(verification, "APPLIED_WITHIN", 0.2)
    with pytest.raises(FollowFailed, match="hasn't applied a mark"):
        verify(rugs.owner, rugs.follower, TABLES)


def test_tables_that_don_t_follow_are_compared_as_they_stand(rugs):
    found = verify(rugs.owner, rugs.follower, ["knot"])
    assert not found.followed
    assert {one.kind for one in found.differences} == {"missing"}
    assert len(found.differences) == 10


def test_a_table_that_isn_t_copied_whole_is_refused(rugs):
    with following(rugs.owner, rugs.applier, TABLES, chunk_rows=100) as stream:
        stream.step()
        with pytest.raises(CopyRefused, match="rug, knot isn't copied whole"):
            verify(rugs.owner, rugs.follower, TABLES)


# ── The command ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def strangler(rugs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run `strangler verify catalog.read`; exit code, stdout and stderr."""
    (tmp_path / "strangler.toml").write_text(TOML.replace('["rug"]', '["rug", "knot"]'))
    system = System(
        root=str(tmp_path),
        supervisor=0,
        gateway="",
        gateway_admin="",
        homes={},
        databases={"monolith": rugs.owner, "catalog": rugs.follower},
        modes={},
    )

    @contextmanager
    def running(config, *, quiet=False) -> Iterator[System]:
        yield system

    monkeypatch.setattr("strangler.run.session.running_system", running)

    def run(*options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["--root", str(tmp_path), "verify", "catalog.read", *options])
        return (end.value.code or 0, *capsys.readouterr())

    return run


def test_the_command_names_the_row_repairs_only_when_told_and_confirms_it(rugs, strangler):
    with followed(rugs):
        assert strangler()[0] == 0
        rugs.on_follower(*CORRUPTIONS.values())
        code, out, _ = strangler("--repair")
        assert code == 1
        assert "rug (11) is missing at the follower." in out
        assert "With --execute the owner would send these 10 rows again. Nothing was changed." in out
        code, out, _ = strangler("--json")
        assert code == 1
        assert [len(table["differences"]) for table in json.loads(out)["tables"]] == [7, 3]
        code, out, _ = strangler("--repair", "--execute")
        assert (code, out.splitlines()[-1]) == (0, "2,010 rows in 2 tables are equal on both sides.")


def test_the_command_refuses_what_it_can_t_do(rugs, strangler):
    code, _, said = strangler("--execute")
    assert (code, "goes with --repair" in said) == (2, True)
    for options in (["--repair"], ["--repair", "--execute"]):
        code, _, said = strangler(*options)
        assert code == 1
        assert "`strangler apply catalog.read shadow` has it follow" in said


def test_the_command_says_where_nothing_follows(rugs, strangler):
    code, out, _ = strangler()
    assert code == 1
    assert out.splitlines()[-1].endswith("`strangler apply catalog.read shadow` has it follow.")


@pytest.mark.parametrize("differ", [True, False])
def test_rounds_that_are_interrupted_end_with_what_the_last_one_came_to(rugs, strangler, monkeypatch, differ):
    found = verify(rugs.owner, rugs.follower, TABLES) if differ else None

    def rounds(*_: object) -> Iterator[object]:
        if found:
            yield found
        raise KeyboardInterrupt

    monkeypatch.setattr("strangler.movement.verify_command.rounds_without_end", rounds)
    monkeypatch.setattr(
        "strangler.movement.verify_command.follow_state", lambda *_: SimpleNamespace(ordered=True)
    )
    code, out, said = strangler("--continuous")
    assert (code, said) == (int(differ), "")
    assert ("is missing at the follower" in out) is differ
