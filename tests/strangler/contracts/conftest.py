"""A small project with two homes in one file each, and pacts of two consumers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strangler import config as project
from strangler.config import Config
from strangler.contracts import ledger
from strangler.contracts.ledger import Ledger
from strangler.contracts.pacts import canonical
from strangler.run.system import System
from tests.strangler.servers import a_database, sql, url_of

HOME = Path(__file__).with_name("small_home.py")
RUG = {"id": 7, "name": "Garish Rug", "price": "12.50"}

TEXT = """
[project]
name = "rugs"
[databases.control]
env = "STRANGLER_DATABASE_URL"
[homes.monolith]
url = "http://127.0.0.1:1"
[homes.loom]
url = "http://127.0.0.1:2"
[gateway]
default = "monolith"
[capabilities."rugs.read"]
kind = "read"
home = "loom"
routes = ["GET /rugs/<int:pk>/"]
[contracts]
pacts = "pacts"
consumers = { bazaar = "monolith", museum = "monolith" }
[contracts.providers."rugs.events"]
homes = ["monolith"]
[contracts.homes.monolith]
command = ["{python}", "HOME", "{port}", "VERSION_MONOLITH", 'ANSWER_MONOLITH', "FAILING"]
states = "/states"
messages = "/messages"
[contracts.homes.loom]
command = ["{python}", "HOME", "{port}", "VERSION_LOOM", 'ANSWER_LOOM']
states = "/states"
"""


def interaction(
    description: str, body: dict[str, Any], path: str = "/rugs/7/", **query: str
) -> dict[str, Any]:
    """A question for a rug, whose answer must have the same types."""
    rules = {f"$.{name}": {"combine": "AND", "matchers": [{"match": "type"}]} for name in body}
    request: dict[str, Any] = {
        "method": "GET",
        "path": path,
        "headers": {"Authorization": ["Bearer token"]},
        "generators": {
            "header": {"Authorization": {"type": "ProviderState", "expression": "${authorization}"}}
        },
    }
    if query:
        request["query"] = {name: [word] for name, word in query.items()}
    return {
        "type": "Synchronous/HTTP",
        "description": description,
        "providerStates": [{"name": "a rug exists", "params": {"id": 7}}],
        "request": request,
        "response": {
            "status": 200,
            "headers": {"Content-Type": ["application/json"]},
            "body": {"content": body, "contentType": "application/json", "encoded": False},
            "matchingRules": {"body": rules},
        },
    }


def message(description: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Asynchronous/Messages",
        "description": description,
        "contents": {"content": body, "contentType": "application/json", "encoded": False},
        "metadata": {"type": "rugs.rug_sold.v1"},
    }


def pact_text(consumer: str, provider: str, *interactions: dict[str, Any]) -> str:
    return canonical(
        json.dumps(
            {
                "consumer": {"name": consumer},
                "provider": {"name": provider},
                "interactions": interactions,
                "metadata": {"pactSpecification": {"version": "4.0"}, "pactRust": {"ffi": "0.5"}},
            }
        )
    )


@dataclass
class Rugs:
    """The project; its files are written anew with every `config`."""

    root: Path

    def pact(self, consumer: str, provider: str, *interactions: dict[str, Any]) -> None:
        (self.root / "pacts" / f"{consumer}-{provider}.json").write_text(
            pact_text(consumer, provider, *interactions)
        )

    def config(
        self,
        *,
        monolith: dict[str, Any] = RUG,
        loom: dict[str, Any] = RUG,
        versions: tuple[str, str] = ("m1", "s1"),
        failing: str = "",
    ) -> Config:
        """The project with homes that answer so."""
        text = TEXT.replace("HOME", str(HOME)).replace("VERSION_MONOLITH", versions[0])
        text = text.replace("VERSION_LOOM", versions[1]).replace("ANSWER_LOOM", json.dumps(loom))
        text = text.replace("ANSWER_MONOLITH", json.dumps(monolith)).replace("FAILING", failing)
        (self.root / "strangler.toml").write_text(text)
        return project.load(self.root)


@pytest.fixture
def rugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rugs:
    """Two consumers: the bazaar reads a rug's price, the museum its name."""
    monkeypatch.setenv("CONTRACTS_DATABASE_URL", os.environ["DATABASE_URL"])
    (tmp_path / "pacts").mkdir()
    found = Rugs(tmp_path)
    found.pact("bazaar", "rugs.read", interaction("a rug's price", {"price": "12.50"}))
    found.pact("museum", "rugs.read", interaction("a rug's name", {"name": "Garish Rug"}))
    return found


@pytest.fixture(scope="session")
def ledger_url() -> Iterator[str]:
    with a_database("contracts") as name:
        yield url_of(name)


@pytest.fixture
def system(ledger_url: str, tmp_path: Path) -> Iterator[System]:
    """A running system of which nothing answers but its control database."""
    yield System(str(tmp_path), 0, "", "", {}, {"control": ledger_url}, {})
    sql(ledger_url, "DROP SCHEMA IF EXISTS strangler_contracts CASCADE")


@pytest.fixture
def book(system: System) -> Iterator[Ledger]:
    with ledger.connect(system.databases["control"]) as book:
        yield book
