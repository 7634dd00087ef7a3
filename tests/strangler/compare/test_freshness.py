"""An answer of a candidate that lacks rows is counted apart, and a true difference is found all the same."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from strangler.compare import freshness
from strangler.compare.errors import CouldNotAsk
from strangler.compare.freshness import Followed, Unfollowed
from strangler.config import Config
from strangler.control import gates
from strangler.movement.follow import following
from strangler.run.system import System
from tests.strangler.compare.conftest import Project
from tests.strangler.compare.test_live import compared
from tests.strangler.servers import a_database, a_follower, sql, url_of

Make = Callable[..., Project]


class Rows:
    """An owner's and a follower's database with a table of rugs, and a follower that goes step by step."""

    def __init__(self, owner: str, follower: str, applier: str) -> None:
        self.owner, self.follower, self.applier = owner, follower, applier
        self._turn = threading.Lock()
        self._readers: dict[str, psycopg.Connection[Any]] = {}

    def write(self, statement: str = "UPDATE rug SET price = price + 1 WHERE id = 7") -> None:
        sql(self.owner, statement)

    def price(self, url: str, number: int) -> int:
        with self._turn:
            if url not in self._readers:
                self._readers[url] = psycopg.connect(url, autocommit=True)
        found = self._readers[url].execute("SELECT price FROM rug WHERE id = %s", [number]).fetchone()
        return found[0] if found else 0

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()

    def catch_up(self) -> None:
        with following(self.owner, self.applier, ["rug"]) as stream:
            stream.catch_up()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """A follower that runs until the block ends."""
        ended = threading.Event()

        def run() -> None:
            with following(self.owner, self.applier, ["rug"]) as stream:
                while not ended.is_set():
                    if stream.step().idle:
                        time.sleep(0.01)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @contextmanager
    def written(self, statement: str, pause: float = 0.002) -> Iterator[None]:
        """Constant writes at the owner until the block ends."""
        ended = threading.Event()

        def run() -> None:
            with psycopg.connect(self.owner, autocommit=True) as connection:
                while not ended.wait(pause):
                    connection.execute(statement)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@pytest.fixture(scope="module")
def databases() -> Iterator[Rows]:
    with (
        a_follower(applier=True) as (role, password),
        a_database("fresh_owner") as owner,
        a_database("fresh_follower", owner=role) as follower,
    ):
        urls = url_of(owner), url_of(follower, f"{role}:{password}")
        with closing(Rows(*urls, url_of(follower, f"{role}_applier:{password}"))) as made:
            yield made


@pytest.fixture
def rows(databases: Rows) -> Rows:
    """Thirty rugs at the owner, and nothing at a follower that doesn't follow yet."""
    for url in (databases.owner, databases.follower):
        sql(
            url,
            "SET client_min_messages = warning",
            "DROP TABLE IF EXISTS rug",
            "DROP SCHEMA IF EXISTS strangler_capture, strangler_movement CASCADE",
            "CREATE TABLE rug (id int PRIMARY KEY, price int)",
        )
    databases.write("INSERT INTO rug SELECT n, 4990 + 37 * n FROM generate_series(1, 30) AS n")
    return databases


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of these followers stand still, and waiting for them is in vain."""
    monkeypatch.setattr(freshness, "PATIENCE", 0.3)


def capability(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{"owner": "monolith", "home": "service", "tables": ("rug",)} | changes)


def is_behind(rows: Rows, meanwhile: Callable[[], object] | None = None) -> bool:
    async def ask() -> bool:
        seen = Followed(capability(), rows.owner, rows.follower)  # type: ignore[arg-type]
        try:
            later = asyncio.create_task(asyncio.to_thread(meanwhile or (lambda: None)))
            found = await seen.is_behind()
            await later
            return found
        finally:
            await seen.close()

    return asyncio.run(ask())


def test_a_follower_that_has_every_change_is_not_behind(rows: Rows) -> None:
    rows.catch_up()
    rows.write()
    assert is_behind(rows)
    rows.catch_up()
    assert not is_behind(rows)


def test_changes_that_come_within_a_moment_are_waited_for(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "PATIENCE", 20.0)
    rows.catch_up()
    rows.write()

    def later() -> None:
        time.sleep(0.2)
        rows.catch_up()

    assert not is_behind(rows, later)


def test_what_is_written_after_the_question_is_not_waited_for(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "PATIENCE", 5.0)
    rows.catch_up()
    with rows.followed(), rows.written("UPDATE rug SET price = price + 1 WHERE id = 7"):
        assert not any(is_behind(rows) for _ in range(5))


def test_rows_that_nobody_follows_yet_say_nothing(rows: Rows) -> None:
    assert not is_behind(rows)
    assert isinstance(freshness.of(CONFIG_WITHOUT_DATABASES, SYSTEM, capability()), Unfollowed)  # type: ignore[arg-type]


CONFIG_WITHOUT_DATABASES: Config = SimpleNamespace(  # type: ignore[assignment]
    homes={"monolith": SimpleNamespace(database=None), "service": SimpleNamespace(database=None)}
)
SYSTEM: System = SimpleNamespace(databases={})  # type: ignore[assignment]


def test_a_follower_that_lost_its_watermark_or_fills_is_behind(rows: Rows) -> None:
    rows.catch_up()
    with psycopg.connect(rows.follower, autocommit=True) as follower:
        follower.execute("UPDATE strangler_movement.followed SET state = 'levelling'")
        assert is_behind(rows)
        follower.execute("DROP SCHEMA strangler_movement CASCADE")
    assert is_behind(rows)


def test_a_long_wait_in_vain_is_not_repeated_until_the_follower_is_back(rows: Rows) -> None:
    async def ask() -> list[float]:
        seen, took = Followed(capability(), rows.owner, rows.follower), []  # type: ignore[arg-type]
        for expected in (True, True, True, False):
            if not expected:
                await asyncio.to_thread(rows.catch_up)
            began = time.monotonic()
            assert await seen.is_behind() is expected
            took.append(time.monotonic() - began)
        await seen.close()
        return took

    rows.catch_up()
    rows.write()
    first, *others, _ = asyncio.run(ask())
    assert first >= freshness.PATIENCE > 2 * max(others)


def test_a_database_that_is_away_is_not_taken_for_fresh(rows: Rows) -> None:
    rows.catch_up()

    async def ask() -> None:
        seen = Followed(capability(), rows.owner, "postgresql://nobody@127.0.0.1:1/none")  # type: ignore[arg-type]
        try:
            await seen.is_behind()
        finally:
            await seen.close()

    with pytest.raises(CouldNotAsk, match="service"):
        asyncio.run(ask())


# ── The comparator ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(project: Make, rows: Rows) -> Callable[..., Project]:
    """Two homes that read their rugs' prices from the two databases."""

    def make(**bugs: str) -> Project:
        made = project(**bugs)
        for home, url in ((made.control, rows.owner), (made.candidate, rows.follower)):
            home.prices = lambda number, url=url: rows.price(url, number)
        text = (made.root / "strangler.toml").read_text()
        text = text.replace("[homes.monolith]", '[homes.monolith]\ndatabase = "owner"')
        text = text.replace("[homes.service]", '[homes.service]\ndatabase = "follower"')
        text = text.replace('home = "service"', 'home = "service"\ntables = ["rug"]')
        text = '[databases.owner]\nenv = "O"\n[databases.follower]\nenv = "F"\n' + text
        (made.root / "strangler.toml").write_text(text)
        return made

    return make


@pytest.mark.parametrize("home", ["monolith", "service"])
def test_a_stopped_follower_makes_answers_stale_and_not_different_and_holds(
    shop: Make, rows: Rows, home: str
) -> None:
    rows.catch_up()
    project = shop()
    rows.write()
    for number in (6, 7, 8):  # of which one differs: whether they are left out doesn't hang on that
        project.capture(f"/api/rugs/{number}/", home=home)
    seen = compared(project, owner=rows.owner, follower=rows.follower)
    assert (seen.captured, seen.stale, seen.comparable, seen.different) == (3, 3, 0, 0)

    held = gates.coverage(project.config.capability("rugs.read"), SimpleNamespace(evidence=seen))  # type: ignore[arg-type]
    assert not held.passed
    assert "3 stale" in held.sentence
    assert "service" in held.sentence


def test_a_follower_that_comes_back_is_compared_again(shop: Make, rows: Rows) -> None:
    rows.catch_up()
    project = shop()
    rows.write()
    project.capture("/api/rugs/7/")
    assert compared(project, owner=rows.owner, follower=rows.follower).stale == 1
    rows.catch_up()
    project.capture("/api/rugs/7/")
    seen = compared(project, owner=rows.owner, follower=rows.follower)
    assert (seen.same, seen.stale) == (1, 1)


def test_a_row_that_was_written_there_and_back_meanwhile_differs_from_nothing(shop: Make, rows: Rows) -> None:
    rows.catch_up()
    project = shop()

    def there_and_back(number: int, plain: Callable[[int], int] = project.candidate.prices) -> int:
        project.candidate.prices = plain
        rows.write("UPDATE rug SET price = price + 1 WHERE id = 7")
        rows.catch_up()
        seen = plain(number)
        rows.write("UPDATE rug SET price = price - 1 WHERE id = 7")
        rows.catch_up()
        return seen

    project.candidate.prices = there_and_back
    project.capture("/api/rugs/7/")
    seen = compared(project, owner=rows.owner, follower=rows.follower)
    assert (seen.settled, seen.different) == (1, 0)


def test_a_candidate_that_wavers_while_nobody_writes_differs(shop: Make, rows: Rows) -> None:
    rows.catch_up()
    project = shop(bug="late")
    project.capture("/api/rugs/7/")
    seen = compared(project, owner=rows.owner, follower=rows.follower)
    assert (seen.settled, seen.different) == (0, 1)


def test_how_far_the_owner_is_written_is_not_known_while_somebody_writes(rows: Rows) -> None:
    rows.catch_up()

    async def written() -> list[str | None]:
        seen = Followed(capability(), rows.owner, rows.follower)  # type: ignore[arg-type]
        try:
            found = [await seen.written(), await seen.written()]
            with psycopg.connect(rows.owner) as writer:
                writer.execute("UPDATE rug SET price = price + 1 WHERE id = 7")
                found.append(await seen.written())
            return [*found, await seen.written()]
        finally:
            await seen.close()

    first, second, meanwhile, afterwards = asyncio.run(written())
    assert first == second is not None
    assert meanwhile is None
    assert afterwards not in (None, first)


def test_under_constant_writes_nothing_differs_that_is_the_same(
    shop: Make, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "PATIENCE", 5.0)
    rows.catch_up()
    project = shop()
    with rows.followed(), rows.written("UPDATE rug SET price = price + 1 WHERE id < 4"):
        for number in range(30):
            project.capture(f"/api/rugs/{1 + number % 6}/" if number % 3 else "/api/rugs/?page=1")
        seen = compared(project, owner=rows.owner, follower=rows.follower)
    assert (seen.captured, seen.different) == (30, 0)
    assert seen.comparable > 10


def test_under_constant_writes_a_true_difference_is_found(
    shop: Make, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "PATIENCE", 5.0)
    rows.catch_up()
    project = shop(bug="price")
    with rows.followed(), rows.written("UPDATE rug SET price = price + 1 WHERE id < 4"):
        for number in range(20):
            project.capture(f"/api/rugs/{1 + number}/")
        seen = compared(project, owner=rows.owner, follower=rows.follower)
    assert seen.different > 10  # those that nobody writes at the moment
    assert {(one.path, one.critical) for one in seen.fields if one.verdict == "different"} == {
        ("$.price", True)
    }
