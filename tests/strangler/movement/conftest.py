"""Two real databases for each test: an owner's and a follower's, the latter's role no superuser."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from strangler.movement import capture, switch
from strangler.movement.backfill import Tell
from strangler.movement.follow import following
from strangler.movement.switch import Side
from strangler.movement.verify import verify
from strangler.run.postgres import embedded_postgres
from tests.strangler.movement.switching import NAME, TABLES, Homes

ROLE = "strangler_movement_follower"


@dataclass(frozen=True)
class Pair:
    """URLs of the owner's and the follower's database, and SQL on each.

    `applier` is the follower's once more, for a login role of its own that is a member of the follower's.
    """

    owner: str
    follower: str
    applier: str

    def on_owner(self, *statements: str) -> list[tuple]:
        return _run(self.owner, statements)

    def on_follower(self, *statements: str) -> list[tuple]:
        return _run(self.follower, statements)

    def on_both(self, *statements: str) -> None:
        self.on_owner(*statements)
        self.on_follower(*statements)


def _run(url: str, statements: tuple[str, ...]) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def copy(pair: Pair, *tables: str, chunk_rows: int = 50_000, progress: Tell | None = None) -> None:
    """Make the tables follow, until nothing is left to do, and stop."""
    with following(pair.owner, pair.applier, tables, chunk_rows=chunk_rows, progress=progress) as stream:
        stream.catch_up()


def copy_again(pair: Pair, *tables: str, chunk_rows: int = 50_000, progress: Tell | None = None) -> None:
    """The same after a time in which nothing was captured: every row is compared."""
    capture.remove(pair.owner)
    copy(pair, *tables, chunk_rows=chunk_rows, progress=progress)


def assert_equal(pair: Pair, *tables: str) -> None:
    """Every row is the same on both sides, and the copy is at its end."""
    found = verify(pair.owner, pair.follower, tables)
    assert found.equal, found.reason
    done = "SELECT count(*) FROM strangler_movement.backfill_progress WHERE finished_at IS NOT NULL"
    assert pair.on_follower(done) == [(len(tables),)]
    assert pair.on_follower("SELECT count(*) FROM strangler_movement.foreign_key_set_aside") == [(0,)]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if named := os.environ.get("DATABASE_URL"):
        yield named
    else:
        with embedded_postgres(Path(tmp_path_factory.mktemp("postgres")) / "cluster") as url:
            yield url


@pytest.fixture(scope="session")
def role(server: str) -> Iterator[tuple[str, str]]:
    """A login role as the kit gives one to a follower: it owns its database, and nothing else."""
    name, password = f"{ROLE}_{secrets.token_hex(3)}", secrets.token_hex(8)
    _run(server, (f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",))
    applier = f"CREATE ROLE {name}_applier LOGIN PASSWORD '{password}' IN ROLE {name}"
    _run(server, (applier,))
    yield name, password
    _run(server, (f"DROP ROLE {name}_applier", f"DROP ROLE {name}"))


@pytest.fixture(scope="session")
def databases(server: str, role: tuple[str, str]) -> Iterator[Pair]:
    name, password = role
    owner, follower = (f"strangler_movement_{side}_{secrets.token_hex(4)}" for side in ("owner", "follower"))
    _run(server, (f"CREATE DATABASE {owner}", f"CREATE DATABASE {follower} OWNER {name}"))
    parts = urlsplit(server)
    host = parts.netloc.rpartition("@")[2]
    try:
        yield Pair(
            urlunsplit(parts._replace(path=f"/{owner}")),
            urlunsplit(parts._replace(netloc=f"{name}:{password}@{host}", path=f"/{follower}")),
            urlunsplit(parts._replace(netloc=f"{name}_applier:{password}@{host}", path=f"/{follower}")),
        )
    finally:
        _run(server, (f"DROP DATABASE {owner} WITH (FORCE)", f"DROP DATABASE {follower} WITH (FORCE)"))


@pytest.fixture
def pair(databases: Pair) -> Iterator[Pair]:
    """The two databases, empty again afterwards."""
    yield databases
    empty(databases)


def empty(databases: Pair) -> None:
    """Take everything away from both databases."""
    databases.on_both(
        "SET client_min_messages = warning",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "DROP SCHEMA IF EXISTS strangler_movement, strangler_capture, strangler_ownership, "
        "strangler_recorder CASCADE",
    )
    databases.on_owner(f"ALTER DATABASE {urlsplit(databases.owner).path[1:]} RESET ALL")


# ── Ownership that moves ─────────────────────────────────────────────────────────────────────────

RUG = "CREATE TABLE rug (id int PRIMARY KEY, sku text NOT NULL UNIQUE, price numeric)"
KNOT = """CREATE TABLE knot (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    rug_id int NOT NULL REFERENCES rug DEFERRABLE INITIALLY DEFERRED, name text)"""


@pytest.fixture(scope="session")
def shop_applier(server):
    """The login that follows into the shop's database, once the rows have moved."""
    name, password = f"shop_{secrets.token_hex(3)}_applier", secrets.token_hex(8)
    parts = urlsplit(server)
    with psycopg.connect(server, autocommit=True) as connection:
        (owner,) = connection.execute("SELECT current_user").fetchone()
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {owner}")
        yield parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}")
        connection.execute(f"DROP ROLE {name}")


@pytest.fixture
def homes(pair, shop_applier) -> Iterator[Homes]:
    homes = unmoved(pair, shop_applier)
    switch.replicate(NAME, TABLES, homes.shop, homes.service)
    yield homes
    homes.close()


def unmoved(pair: Pair, shop_applier) -> Homes:
    """Both homes with their tables, before anybody knows of a capability."""
    pair.on_both(RUG, KNOT)
    pair.on_owner(
        "INSERT INTO rug SELECT n, 'GARISH-RUG-' || n, n FROM generate_series(1, 20) AS n",
        "INSERT INTO knot (rug_id, name) SELECT id, 'k' || id FROM rug",
    )
    applier = urlunsplit(shop_applier._replace(path=urlsplit(pair.owner).path))
    return Homes(
        Side("shop", pair.owner, applier, "Write at /api/rugs/."),
        Side("service", pair.follower, pair.applier, "Write at /api/rugs/."),
    )
