"""What was found out about contracts, kept in the control database: pacts, results, deployments.

A result belongs to a pact's content and to one exact version of a home; rows are only ever added.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Json

from strangler.errors import StranglerError

_SCHEMA_LOCK = 0x57A7


@dataclass(frozen=True)
class Published:
    """A pact that a version of a consumer has."""

    consumer: str
    version: str
    provider: str
    hash: str


@dataclass(frozen=True)
class Result:
    """What came of a pact at one version of a home: how many interactions ran, and which failed, and why."""

    consumer: str
    provider: str
    hash: str
    home: str
    version: str
    interactions: int
    failed: Mapping[str, Sequence[str]]

    @property
    def passed(self) -> bool:
        return self.interactions > 0 and not self.failed


@dataclass(frozen=True)
class Deployment:
    """A home's version, since when it is known to be deployed, and who said so."""

    home: str
    version: str
    at: datetime.datetime
    by: str


class LedgerAway(StranglerError):
    """The control database, in which the ledger lies, can't be used."""


class Ledger(AbstractContextManager["Ledger"]):
    """One session with the ledger. Every method raises LedgerAway when the database has gone."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def publish(self, pacts: Sequence[tuple[Published, str]]) -> None:
        """Add pacts, with their canonical text; what is known already is passed over."""
        known = {(one.consumer, one.version, one.provider): one.hash for one in self.published()}
        with self._transaction():
            for one, text in pacts:
                if known.get((one.consumer, one.version, one.provider)) != one.hash:
                    self._execute(
                        "INSERT INTO strangler_contracts.pact (consumer, version, provider, hash, content) "
                        "VALUES (%s, %s, %s, %s, %s)",
                        *(one.consumer, one.version, one.provider, one.hash, text),
                    )

    def published(self) -> list[Published]:
        """The pact that each version of each consumer has with each provider."""
        return self._rows(
            Published,
            """SELECT DISTINCT ON (consumer, version, provider) consumer, version, provider, hash
               FROM strangler_contracts.pact ORDER BY consumer, version, provider, id DESC""",
        )

    def content(self, one: Published) -> str:
        """A pact's text, which others may share but for the names in it; "" for one never published."""
        with self._in_a_sentence():
            row = self._connection.execute(
                "SELECT content FROM strangler_contracts.pact "
                "WHERE consumer = %s AND provider = %s AND hash = %s LIMIT 1",
                [one.consumer, one.provider, one.hash],
            ).fetchone()
        return str(row["content"]) if row else ""

    def add_results(self, results: Sequence[Result], by: str) -> None:
        """Add what was found out just now."""
        with self._transaction():
            for one in results:
                self._execute(
                    """INSERT INTO strangler_contracts.result
                           (consumer, provider, hash, home, version, interactions, failed, by)
                       VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
                    *(one.consumer, one.provider, one.hash, one.home, one.version, one.interactions),
                    *(Json({key: list(wrong) for key, wrong in one.failed.items()}), by),
                )

    def results(self) -> list[Result]:
        """The latest result of each pact at each version of each home."""
        return self._rows(
            Result,
            """SELECT DISTINCT ON (consumer, provider, hash, home, version)
                   consumer, provider, hash, home, version, interactions, failed
               FROM strangler_contracts.result
               ORDER BY consumer, provider, hash, home, version, id DESC""",
        )

    def deploy(self, versions: Mapping[str, str], by: str) -> None:
        """Add what is deployed where it differs from what was recorded last."""
        known = {one.home: one.version for one in self.deployed()}
        with self._transaction():
            for home, version in versions.items():
                if version and known.get(home) != version:
                    self._execute(
                        "INSERT INTO strangler_contracts.deployment (home, version, by) VALUES (%s, %s, %s)",
                        *(home, version, by),
                    )

    def deployed(self) -> list[Deployment]:
        """What is deployed of each home, as recorded."""
        return self._rows(
            Deployment,
            """SELECT DISTINCT ON (home) home, version, at, by
               FROM strangler_contracts.deployment ORDER BY home, id DESC""",
        )

    def _rows(self, kind: type[Any], statement: str) -> list[Any]:
        with self._in_a_sentence(), self._connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(sql.SQL(statement)).fetchall()

    def _execute(self, statement: str, *values: Any) -> None:
        self._connection.execute(sql.SQL(statement), values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._in_a_sentence(), self._connection.transaction():
            yield

    @contextmanager
    def _in_a_sentence(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise _away(error) from error


def connect(url: str) -> Ledger:
    """Open the ledger in the control database at `url`, and make its schema where it isn't there yet."""
    try:
        connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=5)
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
            connection.execute(files(__package__).joinpath("schema.sql").read_bytes())
    except psycopg.Error as error:
        raise _away(error) from error
    return Ledger(connection)


def _away(error: psycopg.Error) -> LedgerAway:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return LedgerAway(
        f"The ledger of contracts, in the control database, can't be used: {lines[0].rstrip('.')}. "
        "Nothing was recorded."
    )
