"""A whole running system under load, and a probe that asks one cheap read all the time."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from strangler import config as project
from strangler.config import Capability, Config
from strangler.control.phases import Phase
from strangler.control.store import connect
from strangler.control.surroundings import Actual
from strangler.envoy import gateway
from strangler.errors import StranglerError
from strangler.run.load import HOME_HEADER
from strangler.run.session import running_system
from strangler.run.system import System
from strangler.run.tour import Traffic

ROOT = Path(__file__).parents[2]
PAUSE = 0.004  # seconds between two of a probe's requests


@dataclass(frozen=True)
class Answer:
    """One answer: when it was asked for and when it was there (time.perf_counter), its status (0: none came)
    and the home that gave it."""

    asked: float
    came: float
    status: int
    home: str

    @property
    def good(self) -> bool:
        return self.status == 200


class Probe:
    """Asks one path over kept connections for as long as the block lasts; `answers` grows."""

    def __init__(self, url: str, path: str, headers: dict[str, str], threads: int = 2) -> None:
        self._where, self._path, self._headers = urlsplit(url).netloc, path, headers
        self.answers: list[Answer] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(threads)]

    def since(self, moment: float) -> list[Answer]:
        """The answers that came after a moment, in the order in which they came."""
        later = []
        for answer in reversed(self.answers):
            if answer.came <= moment:
                break
            later.append(answer)
        return later[::-1]

    def _ask_on(self) -> None:
        connection = http.client.HTTPConnection(self._where, timeout=10)
        while not self._ended.is_set():
            asked, status, home = time.perf_counter(), 0, ""
            try:
                connection.request("GET", self._path, headers=self._headers)
                answer = connection.getresponse()
                answer.read()
                status, home = answer.status, answer.getheader(HOME_HEADER, "")
            except (OSError, http.client.HTTPException):
                connection.close()
            self.answers.append(Answer(asked, time.perf_counter(), status, home))
            time.sleep(PAUSE)
        connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(15)


@dataclass
class Stage:
    """A running system whose capability has its rows at both homes, and how to route it without any gate."""

    config: Config
    system: System
    capability: Capability

    def route(self, phase: Phase) -> None:
        """Route the capability by a phase, past the gates: what is measured here is the gateway."""
        gateway.publish(self.config, self.system, self._recorded() | {self.capability.name: phase})

    def put_back(self) -> None:
        """Route by what the control database records."""
        gateway.publish(self.config, self.system, self._recorded())

    def _recorded(self) -> dict[str, Phase]:
        with connect(self.system) as store:
            return dict(store.phases())

    @property
    def path(self) -> str:
        """The shortest route of the capability that names nothing, of those that the load asks as anybody."""
        asked = {one.path for one in self.config.load.requests if not one.users}
        plain = [route.path for route in self.capability.routes if route.path in asked]
        if not plain:
            raise StranglerError(f"Nobody asks {self.capability.name} for a route without a parameter.")
        return min(plain, key=len)

    def probe(self) -> Probe:
        """A probe that asks as a tester does, so that a canary answers it from the service."""
        return Probe(self.system.gateway, self.path, {self.config.gateway.tester_header: "service"})


@contextmanager
def stage() -> Iterator[Stage]:
    """The running system (started where none runs), rows copied; routed as recorded again at the end."""
    config = project.load(ROOT)
    capability = next(iter(config.capabilities.values()))
    with running_system(config) as system:
        around = Actual(config, system)
        around.capture(capability)
        around.follow(capability, "the benchmark", None)
        set_up = Stage(config, system, capability)
        try:
            yield set_up
        finally:
            set_up.put_back()


@contextmanager
def traffic(on: Stage) -> Iterator[Traffic]:
    """The load of strangler.toml; the block begins once it flows."""
    with Traffic(on.config, on.system.gateway) as load:
        deadline = time.monotonic() + 30
        while not load.generator.total.requests:
            load.check()
            if time.monotonic() > deadline:
                raise StranglerError("No load has flowed in 30 s.")
            time.sleep(0.05)
        yield load
