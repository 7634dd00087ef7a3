"""All that a request passes through, as real processes: Envoy, a Django shop, relay, broker, consumer."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from strangler.config import Config, parse
from strangler.envoy import gateway
from strangler.run.postgres import free_port
from strangler.run.system import System
from strangler.telemetry import tracing
from strangler.telemetry.spans import Span
from strangler.telemetry.store import Store
from tests.waiting import until

ROOT = Path(__file__).parents[3]
TOML = """
[project]
name = "rugs"
[databases.main]
env = "DATABASE_URL"
[homes.shop]
process = "shop"
database = "main"
[processes.shop]
command = ["{python}", "-m", "shop", "{port}"]
health = "/health/live"
[gateway]
default = "shop"
[telemetry]
keep = 5000
"""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def trace(self) -> str:
        """The id that the gateway gave with the answer."""
        return str(self.headers["x-trace-id"])

    @property
    def event(self) -> str:
        return str(json.loads(self.body)["event"])


@dataclass
class World:
    """One system under `root`. `start` takes the names of what runs; `close` ends it all."""

    root: Path
    environment: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "strangler.toml").write_text(TOML)
        (self.root / ".strangler" / "logs").mkdir(parents=True)
        self.config: Config = parse(TOML, self.root)
        self.ports = {name: free_port() for name in ("shop", "gateway", "admin", "telemetry")}
        url = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.system = System(
            root=str(self.root), supervisor=0, gateway=url["gateway"], gateway_admin=url["admin"],
            homes={"shop": url["shop"]}, databases={}, modes={}, telemetry=url["telemetry"],
        )  # fmt: skip

    def start(self, *names: str) -> None:
        for name in names:
            getattr(self, f"_start_{name}")()

    def _start_telemetry(self) -> None:
        port = self.ports["telemetry"]
        module = ("-m", "strangler.telemetry.receiver", "--port", f"{port}", "--root", f"{self.root}")
        # Without what the others are told: it would pass on to itself what it gets.
        self._popen("telemetry", [sys.executable, *module], {**os.environ, "PYTHONPATH": str(ROOT)})
        until(lambda: self._answers(port, "/health"))

    def _start_shop(self) -> None:
        port = self.ports["shop"]
        self._run(
            "shop", "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", f"{port}",
            "--no-ws", "--blocking-threads", "2", "--workers", self.environment.get("WORKERS", "1"),
            "tests.strangler.telemetry.project.urls:application",
        )  # fmt: skip
        until(lambda: self._answers(port, "/health/ready"))

    def _start_gateway(self) -> None:
        gateway.prepare(self.config, self.system, {})
        self._popen("gateway", gateway.command(self.config, self.system), dict(os.environ))
        until(
            lambda: (
                gateway.describe(self.system).ready and self._answers(self.ports["gateway"], "/health/live")
            )
        )

    def _start_relay(self) -> None:
        self._run("relay", "-m", "django", "relay_events")

    def _start_consumer(self) -> None:
        self._run("consumer", "-m", "django", "consume_events")

    def manage(self, *command: str) -> None:
        """A management command, to its end."""
        subprocess.run(
            [sys.executable, "-m", "django", *command], env=self._of("manage"), cwd=ROOT, check=True
        )

    def kill(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGKILL)
        self.running.pop(name).wait()

    def close(self) -> None:
        for one in self.running.values():
            one.terminate()
        for one in self.running.values():
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        of: str = "gateway",
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[of], timeout=20)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def spans(self, wanted: str, *names: str, seconds: float = 15) -> dict[str, Span]:
        """The trace's spans by process and name, once all of `names` ("process: name") have arrived."""
        end = time.monotonic() + seconds
        while True:
            store = Store(self.root)
            found = {f"{one.process}: {one.name}": one for one in store.trace(wanted)}
            store.close()
            if set(names) <= found.keys():
                return found
            assert time.monotonic() < end, (
                f"{set(names) - found.keys()} didn't arrive; there are {sorted(found)}"
            )
            time.sleep(0.1)

    def count(self, statement: str) -> int:
        with psycopg.connect(self.environment["DATABASE_URL"]) as database:
            row = database.execute(statement).fetchone()
            return int(row[0]) if row else 0

    def log(self, name: str) -> str:
        return (self.root / ".strangler" / "logs" / f"{name}.log").read_text()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a log that are JSON."""
        return [json.loads(line) for line in self.log(name).splitlines() if line.startswith("{")]

    def _of(self, name: str) -> dict[str, str]:
        traced = tracing.environment(self.config, self.system)
        return {
            **os.environ, "DJANGO_SETTINGS_MODULE": "tests.strangler.telemetry.project.settings",
            "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **traced, "OTEL_SERVICE_NAME": name,
            **self.environment,
        }  # fmt: skip

    def _run(self, name: str, *arguments: str) -> None:
        self._popen(name, [sys.executable, *arguments], self._of(name))

    def _popen(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.root / ".strangler" / "logs" / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def _answers(self, port: int, path: str) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
