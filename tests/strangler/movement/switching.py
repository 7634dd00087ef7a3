"""Two homes of one capability, whose rows move between them: what the tests of the switch drive."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg

from strangler.movement import ownership, switch
from strangler.movement.errors import MovementError
from strangler.movement.fence import SQLSTATES
from strangler.movement.follow import following
from strangler.movement.ownership import State
from strangler.movement.switch import Side, Switch
from tests.strangler.servers import sql
from tests.waiting import until

NAME = "rugs.write"
TABLES = ("rug", "knot")


@dataclass(frozen=True)
class Homes:
    """`shop` owns at first, `service` follows; SQL on each by name."""

    shop: Side
    service: Side
    _begun: list[Switch] = field(default_factory=list, compare=False, repr=False)

    def close(self) -> None:
        """End the connections of every switch that was begun here."""
        for begun in self._begun:
            begun.bench.close()

    def sql(self, home: str, *statements: str) -> list[tuple]:
        return sql(getattr(self, home).url, *statements)

    def beliefs(self):
        return switch.beliefs(NAME, self.shop, self.service)

    @property
    def owners(self) -> list[str]:
        """Homes whose database takes a write now."""
        return [home for home in ("shop", "service") if self.takes_a_write(home)]

    def takes_a_write(self, home: str) -> bool:
        with psycopg.connect(getattr(self, home).url, options="-c lock_timeout=300ms") as connection:
            try:
                connection.execute("INSERT INTO rug (id, sku) VALUES (-1, 'is anybody there')")
            except psycopg.errors.LockNotAvailable:
                return False
            except psycopg.Error as error:
                if error.sqlstate not in SQLSTATES:
                    raise
                return False
            finally:
                connection.rollback()
        return True

    def begin(self, origin: str, tables: Sequence[str] = TABLES) -> Switch:
        sides = (self.shop, self.service) if origin == "shop" else (self.service, self.shop)
        self._begun.append(begun := switch.begin(NAME, tables, *sides))
        return begun

    def carry_out(self, origin: str, tables: Sequence[str] = TABLES) -> Switch:
        begun = self.begin(origin, tables)
        for step in switch.STEPS:
            step(begun)
        return begun

    def rows(self, home: str) -> dict[str, list[tuple]]:
        return {table: self.sql(home, f"SELECT t::text FROM {table} AS t ORDER BY 1") for table in TABLES}

    def assert_equal(self) -> None:
        until(
            lambda: self.rows("shop") == self.rows("service"),
            said=lambda: f"{self.rows('shop')} isn't {self.rows('service')}",
        )

    @contextmanager
    def followed(self, tables: Sequence[str] = TABLES) -> Iterator[None]:
        """A follower that goes from whoever owns to whoever follows, until the end of the block."""
        stop = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            while not stop.is_set():
                try:
                    self.follow_until(stop, tables)
                except MovementError as error:
                    print(error)
                    time.sleep(0.02)
                except BaseException as error:
                    failed.append(error)
                    raise

        thread = threading.Thread(target=run)
        thread.start()
        try:
            self.wait_until_copied(tables)
            yield
        finally:
            stop.set()
            thread.join()
        assert not failed

    def wait_until_copied(self, tables: Sequence[str] = TABLES) -> None:
        until(lambda: not switch._not_followed(self.service, tables))

    def follow_until(self, stop: threading.Event, tables: Sequence[str] = TABLES) -> None:
        here, _ = self.beliefs()
        owner, follower = (
            (self.shop, self.service)
            if here.state in (State.OWNER, State.FENCED)
            else (self.service, self.shop)
        )
        with following(owner.url, follower.applier, tables, echo=owner.applier_role) as stream:
            while not stop.is_set():
                if stream.step().idle:
                    time.sleep(0.005)


@dataclass
class Writers:
    """Clients that write all the time at whoever takes it; each write is numbered, and noted if accepted."""

    homes: Homes
    accepted: dict[int, str] = field(default_factory=dict)
    longest: float = 0.0
    numbers: Iterator[int] = field(default_factory=partial(itertools.count, 1000))

    @contextmanager
    def busy(self, clients: int = 3) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._write, args=(stop,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _write(self, stop: threading.Event) -> None:
        with (
            psycopg.connect(self.homes.shop.url, autocommit=True) as shop,
            psycopg.connect(self.homes.service.url, autocommit=True) as service,
        ):
            while not stop.is_set():
                number, began = next(self.numbers), time.monotonic()
                for home, connection in itertools.cycle((("shop", shop), ("service", service))):
                    try:
                        with connection.transaction():
                            connection.execute(
                                "INSERT INTO rug (id, sku, price) VALUES (%s, %s, 1)",
                                [number, f"W{number}"],
                            )
                            connection.execute("INSERT INTO knot (rug_id) VALUES (%s)", [number])
                        self.accepted[number] = home
                        break
                    except psycopg.Error as error:
                        if error.sqlstate not in SQLSTATES:
                            raise
                    if stop.is_set():
                        return
                    time.sleep(0.002)
                self.longest = max(self.longest, time.monotonic() - began)

    def assert_none_lost(self) -> None:
        """Every accepted write is there once, and none besides."""
        for home in ("shop", "service"):
            there = [number for (number,) in self.homes.sql(home, "SELECT id FROM rug WHERE id >= 1000")]
            assert sorted(there) == sorted(self.accepted), home


def epoch_of(side: Side) -> int:
    with psycopg.connect(side.url, autocommit=True) as connection:
        belief = ownership.read(connection, NAME)
    assert belief
    return belief.epoch
