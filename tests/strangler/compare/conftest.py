"""A project with two tiny homes, recorded traffic, and a control database of its own."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strangler import config as configuration
from strangler.compare import look, recording
from strangler.compare.observation import ANONYMOUS, Caller, Request
from strangler.compare.shape import fingerprint
from strangler.config import Config
from strangler.control.phases import SHADOW, Phase
from strangler.control.store import connect
from strangler.run.system import System
from tests.strangler.compare.homes import RugHome, token_for
from tests.strangler.servers import a_database, sql, url_of

PROJECT = """\
[project]
name = "rugs"

[homes.monolith]
url = "{control}"

[homes.service]
url = "{candidate}"

[gateway]
default = "monolith"
exchange = "/token/"

[capabilities."rugs.read"]
kind = "read"
home = "service"
routes = ["GET /api/rugs/", "GET /api/rugs/<int:pk>/"]

[capabilities."rugs.read".gate]
latency_slack = 0.5
critical = ["$.price", "$.results[].price"]

[compare]
control = {share}
tokens = ["{{python}}", "{{root}}/tokens.py"]
{ignores}
"""

TOKENS = """\
import sys
sys.path.insert(0, {repository!r})
from tests.strangler.compare.homes import token_for
for line in sys.stdin.read().splitlines():
    print(token_for(line))
"""

BUYER, STAFF = Caller("buyer", "buyer1"), Caller("seller_staff", "staff1")
HOST = "shop.test:8000"


class Project:
    """A directory with strangler.toml, two running homes, and what the kit would know about them."""

    def __init__(self, root: Path, control: RugHome, candidate: RugHome, database: str) -> None:
        self.root, self.control, self.candidate, self.database = root, control, candidate, database
        (root / "tokens.py").write_text(TOKENS.format(repository=str(Path(__file__).parents[3])))
        self.declare()
        self.system.state.mkdir()
        self.system.capture_directory.mkdir()
        self._captures = 0

    def declare(self, *, ignores: str = "", share: float = 0.1) -> Config:
        """Write strangler.toml; `ignores` is TOML."""
        text = PROJECT.format(
            control=self.control.url, candidate=self.candidate.url, ignores=ignores, share=share
        )
        (self.root / "strangler.toml").write_text(text)
        return self.config

    @property
    def config(self) -> Config:
        return configuration.load(self.root)

    @property
    def system(self) -> System:
        return System(
            root=str(self.root),
            supervisor=os.getpid(),
            gateway=f"http://{HOST}",
            gateway_admin="",
            homes={"monolith": self.control.url, "service": self.candidate.url},
            databases={"control": self.database},
            modes={},
        )

    def move(self, phase: Phase) -> None:
        """Record a phase, as the control plane does."""
        with connect(self.system) as store:
            standing = store.standing("rugs.read")
            store.record("rugs.read", phase, standing.revision + 1, "the test")

    def record(self, requests: list[tuple[str, Caller]]) -> list[recording.Recorded]:
        """A recording of GET requests, as the comparator would make it."""
        capability = self.config.capability("rugs.read")
        kept = recording.Recording(recording.path_of(self.root, "rugs.read"), 1000)
        for target, caller in requests:
            request = Request("GET", target, HOST, caller)
            shape = fingerprint(str(capability.route_of("GET", target)), request)
            kept.add(recording.record_of(shape, request, 200, b"{}"))
        kept.flush()
        return recording.read(recording.path_of(self.root, "rugs.read"))

    def capture(self, target: str, *, user: str = "", home: str = "monolith", **changes: object) -> Path:
        """A tap file, as the gateway leaves it after a client has got `home`'s answer."""
        asked = {"monolith": self.control, "service": self.candidate}[home]
        role = {"buyer1": "buyer", "staff1": "seller_staff"}.get(user, "")
        status, body = asked.answer(target, HOST, role)
        self._captures += 1
        path = self.system.capture_directory / f"rugs.read_{self._captures}.json"
        path.write_text(
            json.dumps(trace(target, status, json.dumps(body).encode(), user=user, home=home, **changes))
        )
        return path


def trace(
    target: str,
    status: int,
    body: bytes,
    *,
    user: str = "",
    bearer: str = "",
    home: str = "monolith",
    encoding: str = "",
    truncated: bool = False,
) -> dict[str, object]:
    """An HttpBufferedTrace as JSON_BODY_AS_BYTES spells it."""
    asked = {":method": "GET", ":path": target, ":authority": HOST, "accept": "application/json"}
    asked |= {"cookie": f"theme=dark; sessionid={user}"} if user else {}
    asked |= {"authorization": f"Bearer {token_for(bearer)}"} if bearer else {}
    answered = {":status": str(status), "content-type": "application/json"}
    answered |= {"x-strangler-home": home} if home else {}
    answered |= {"content-encoding": encoding} if encoding else {}

    def message(headers: dict[str, str], content: bytes) -> dict[str, object]:
        coded = {"truncated": truncated, "as_bytes": base64.b64encode(content).decode()}
        pairs = [{"key": key, "value": value} for key, value in headers.items()]
        return {"headers": pairs, "trailers": [], "body": coded}

    return {"http_buffered_trace": {"request": message(asked, b""), "response": message(answered, body)}}


def everything() -> list[tuple[str, Caller]]:
    """Traffic that meets every seeded bug."""
    queries = [f"page={page}&of={of}" for page in (1, 2, 3) for of in ("wool", "silk", "jute", "goat")]
    lists = [(f"/api/rugs/?{query}", who) for query in queries for who in (ANONYMOUS, BUYER, STAFF)]
    single = [
        (f"/api/rugs/{number}/", who)
        for number in (1, 7, 12, 31, 32, 99)
        for who in (ANONYMOUS, BUYER, STAFF)
    ]
    return lists + single


@pytest.fixture(scope="session")
def control_database() -> Iterator[str]:
    with a_database("compare") as name:
        yield url_of(name)


@pytest.fixture
def database(control_database: str) -> Iterator[str]:
    yield control_database
    sql(control_database, "DROP SCHEMA IF EXISTS strangler_compare, strangler_control CASCADE")


@pytest.fixture
def project(tmp_path: Path, database: str) -> Iterator[Callable[..., Project]]:
    """Makes a project: `project(bug=..., quirk=...)`, the bug at the candidate, the quirk at both homes."""
    homes: list[RugHome] = []

    def make(*, bug: str = "", quirk: str = "") -> Project:
        # Where times matter, they must stand out from what a busy machine adds to both.
        pace = 0.01 if bug == "slow" else 0.001
        homes.extend((RugHome("monolith", "", quirk, pace), RugHome("service", bug, quirk, pace)))
        made = Project(tmp_path, homes[-2], homes[-1], database)
        made.move(SHADOW)
        return made

    yield make
    for home in homes:
        home.stop()


@pytest.fixture(autouse=True)
def quick_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """No write travels anywhere here, so nothing has to be waited for."""
    monkeypatch.setattr(look, "SECOND_LOOK_SECONDS", 0.005)
