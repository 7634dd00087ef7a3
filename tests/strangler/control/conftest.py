"""A control database on a real PostgreSQL, surroundings that do as they are told, and a terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from strangler.config import Config
from strangler.control import commands
from strangler.control.desk import Desk
from strangler.control.store import Store, connect
from strangler.errors import StranglerError
from strangler.run.system import System
from tests.fakes.control_surroundings import FakeSurroundings
from tests.strangler.control.wanted import a_system, only_catalog_read
from tests.strangler.servers import a_database, sql, url_of

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def control_url() -> Iterator[str]:
    """An empty database."""
    with a_database("control") as name:
        yield url_of(name)


@pytest.fixture
def system(control_url: str, tmp_path: Path) -> Iterator[System]:
    """A system whose control database has no schema yet."""
    yield a_system(tmp_path, control_url)
    sql(control_url, "DROP SCHEMA IF EXISTS strangler_control CASCADE")


@pytest.fixture
def store(system: System) -> Iterator[Store]:
    with connect(system) as store:
        yield store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return only_catalog_read(tmp_path)


@pytest.fixture
def world() -> FakeSurroundings:
    return FakeSurroundings()


@pytest.fixture
def desk(config: Config, store: Store, world: FakeSurroundings) -> Desk:
    return Desk(config, store, world, "anna@loom")


@dataclass(frozen=True)
class Shown:
    """What a verb printed, on both streams as a terminal shows them, and its exit code."""

    text: str
    exit_code: int


class Terminal:
    """Types `strangler VERB ...` at a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, line: str, *, by: str | None = None) -> Shown:
        verb, *arguments = line.split()
        desk = replace(self.desk, by=by) if by else self.desk
        result = CliRunner().invoke(getattr(commands, verb), arguments, obj=desk)
        if isinstance(result.exception, StranglerError):
            text = f"{result.output}strangler: {result.exception}\n"
            return Shown(text, result.exception.exit_code)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Shown(result.output, result.exit_code)


@pytest.fixture
def strangler(desk: Desk) -> Terminal:
    return Terminal(desk)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares a text with golden/NAME.txt; UPDATE_GOLDEN=1 writes it, to be read before it is committed."""

    def compare(name: str, text: str) -> None:
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-01-31 12:00:00 UTC", text)
        text = re.sub(r"since \d\d:\d\d:\d\d UTC", "since 12:00:00 UTC", text)
        text = re.sub(r"(Done in|done after|failed after|undone after) \d+\.\d\d s", r"\1 0.01 s", text)
        text = re.sub(r"Looked \d+ s ago", "Looked 1 s ago", text)
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text()

    return compare
