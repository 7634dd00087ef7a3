"""A real Envoy with two small homes behind it, for the tests of this folder."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from strangler.config import Config, parse
from strangler.control.phases import Phase
from strangler.envoy import gateway
from strangler.envoy.snapshot import Snapshot
from strangler.run.postgres import free_port
from strangler.run.system import System
from tests.waiting import until

PRODUCTS = "/api/catalog/products/"

SHOP = """
[project]
name = "shop"
[databases.main]
env = "DATABASE_URL"
[homes.monolith]
process = "monolith"
[homes.catalog]
process = "catalog"
[processes.monolith]
command = ["monolith"]
[processes.catalog]
command = ["catalog"]
health = "/health/ready"
[gateway]
default = "monolith"
exchange = "/api/identity/token/"
[capabilities."catalog.read"]
kind = "read"
home = "catalog"
routes = ["GET /api/catalog/products/", "GET /api/catalog/products/<int:pk>/", "GET /slow/<str:seconds>"]
[capabilities."catalog.write"]
kind = "write"
home = "catalog"
routes = ["POST /api/catalog/products/", "PATCH /api/catalog/products/<int:pk>/"]
switch = { fence = 4 }
[compare]
sample = 0.25
"""


def shop(root: Path, *, sample: float = 0.25, text: str = SHOP) -> Config:
    return parse(text.replace("sample = 0.25", f"sample = {sample}"), root)


def at(phase: str) -> dict[str, Phase]:
    return {"catalog.read": Phase.parse(phase)}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def home(self) -> str | None:
        return self.headers["x-strangler-home"]

    @property
    def seen(self) -> dict[str, str]:
        """The request headers that the home saw."""
        return dict(json.loads(self.body)["headers"])


@dataclass
class Load:
    """What a load saw: how many answers per home, what failed, and when each home answered last."""

    homes: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.homes.values()) + len(self.failed)


class Edge:
    """Envoy and its two homes, each a process of its own. `publish("canary=10")` changes the phase."""

    def __init__(self, root: Path, *, sample: float = 0.25, host: str = "127.0.0.1") -> None:
        self.config = shop(root, sample=sample)
        self.ports = {"monolith": free_port(), "catalog": free_port()}
        homes = {name: f"http://{host}:{port}" for name, port in self.ports.items()}
        edge, admin = free_port(), free_port()
        self.system = System(
            str(root), 0, f"http://127.0.0.1:{edge}", f"http://127.0.0.1:{admin}", homes, {}, {}
        )
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name in homes:
            self.start_home(name)
        gateway.prepare(self.config, self.system, at("monolith"))
        self.start_envoy()

    def start_home(self, name: str) -> None:
        script = str(Path(__file__).with_name("upstream.py"))
        self.running[name] = subprocess.Popen([sys.executable, script, str(self.ports[name]), name])
        until(lambda: _listens(self.ports[name]))

    def start_envoy(self) -> None:
        log = self.system.state / "logs" / "gateway.log"
        with log.open("ab") as file:
            command = gateway.command(self.config, self.system)
            self.running["envoy"] = subprocess.Popen(command, stdout=file, stderr=file)
        until(lambda: gateway.describe(self.system).ready and self.answers())

    def answers(self) -> bool:
        try:
            return self.ask("/").status == 200
        except OSError:
            return False

    def kill(self, name: str) -> None:
        """kill -9."""
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def close(self) -> None:
        for one in self.running.values():
            one.kill()
            one.wait()

    def publish(self, phase: str, **others: str) -> Snapshot:
        phases = at(phase) | {f"catalog.{name}": Phase.parse(one) for name, one in others.items()}
        return gateway.publish(self.config, self.system, phases)

    def ask(
        self,
        path: str = PRODUCTS,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Reply:
        address = urlsplit(self.system.gateway).netloc
        connection = http.client.HTTPConnection(address, timeout=20)
        try:
            connection.request(method, path, body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def home_of(self, user: str) -> str | None:
        """Who answers a user with a session."""
        return self.ask(headers={"cookie": f"sessionid=s-{user}"}).home

    def asked(self, name: str, path: str) -> int:
        """How often a home was asked for a path, itself and not through the gateway."""
        return int(self.tell(name, "/_asked").get(path, 0))

    def tell(self, name: str, path: str) -> dict[str, Any]:
        """Ask a home itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=5)
        connection.request("GET", path)
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return told

    def owns(self, name: str, yes: bool) -> None:
        """Whether a home takes the writes of a capability from here on."""
        self.tell(name, f"/_own?{'yes' if yes else 'no'}")

    def captured(self) -> list[dict[str, Any]]:
        """The captured requests, in no order; waits for files that are still being written."""

        def read() -> list[dict[str, Any]] | None:
            try:
                files = sorted(self.system.capture_directory.glob("*.json"))
                return [json.loads(one.read_bytes())["http_buffered_trace"] for one in files]
            except ValueError:
                return None

        until(lambda: read() is not None)
        return read() or []

    async def load(
        self,
        seconds: float,
        *,
        users: int = 8,
        pause: float = 0.0,
        done: asyncio.Event | None = None,
        session: bool = True,
        seen: Load | None = None,
    ) -> Load:
        """Ask for products as several users at once; everything but a whole 200 is a failure.

        Ends after `seconds`, or earlier once `done` is set. Each user rests for `pause` seconds between two
        requests, and has a session unless told otherwise. Who gives `seen` can look on.
        """
        seen, end = Load() if seen is None else seen, time.monotonic() + seconds

        async def one(client: aiohttp.ClientSession, user: int) -> None:
            own = {"cookie": f"sessionid=s-{user}"} if session else {}
            while time.monotonic() < end and not (done and done.is_set()):
                start = time.monotonic()
                try:
                    async with client.get(self.system.gateway + PRODUCTS, headers=own) as answer:
                        body = await answer.json()
                    home = answer.headers.get("x-strangler-home", "")
                    if answer.status != 200 or body["home"] != home:
                        seen.failed.append(f"{answer.status} from {home or 'the gateway'}: {body}")
                        continue
                    seen.homes[home] += 1
                    seen.last[home] = time.monotonic()
                    seen.seconds.append(time.monotonic() - start)
                except (aiohttp.ClientError, ValueError) as error:
                    seen.failed.append(repr(error))
                if pause:
                    await asyncio.sleep(pause)

        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
            await asyncio.gather(*(one(client, user) for user in range(users)))
        return seen


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
