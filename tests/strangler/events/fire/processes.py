"""The processes that burn: killed in the middle of their work, and started again as a supervisor does."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg

AT_WORK_WITHIN = 15.0  # seconds; who has nothing to do by then is killed idle
Start = Callable[[], subprocess.Popen[bytes]]


class GaveUp(AssertionError):
    """A process ended by itself: it is to outlast whatever it depends on."""


@dataclass
class Progress:
    """How far a process has come, by a number in a database that grows with its work."""

    url: str
    statement: str
    _session: psycopg.Connection[Any] | None = None

    def __call__(self) -> int:
        if self._session is None:
            self._session = psycopg.connect(self.url, autocommit=True)
        row = self._session.execute(self.statement).fetchone()
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


@dataclass
class Burning:
    """The processes by name: how each is started, and for some how far it has come."""

    starts: Mapping[str, Start]
    progress: Mapping[str, Progress]
    chance: random.Random
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    at_work: int = 0  # how many were killed while they worked

    def kill(self, name: str) -> None:
        """End one with SIGKILL, and start it again, unless it has done its work."""
        self.check()
        if self.running[name].poll() is not None:
            return
        if name in self.progress:
            self.catch(name)
        self.running[name].kill()
        self.running[name].wait()
        self.running[name] = self.starts[name]()

    def catch(self, name: str) -> None:
        """Return when this one is in the middle of its work.

        It is held still for a moment, so that something piles up, and let go until it has begun with it.
        """
        self._moves(name, self.progress[name]())
        self.running[name].send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.2, 0.8))
        before = self.progress[name]()
        self.running[name].send_signal(signal.SIGCONT)
        self.at_work += self._moves(name, before)
        time.sleep(self.chance.uniform(0.0, 0.04))
        self.progress[name].close()

    def check(self) -> None:
        """Raises GaveUp if one has ended by itself."""
        gave_up = [name for name, one in self.running.items() if one.poll()]
        if gave_up:
            raise GaveUp(f"{' and '.join(gave_up)} ended by itself, and should have waited.")

    def busy(self, names: list[str], seconds: float) -> float:
        """The share of a core that some take in the seconds to come."""
        watched = [psutil.Process(self.running[name].pid) for name in names]

        def used() -> float:
            return sum(one.cpu_times().user + one.cpu_times().system for one in watched)

        before = used()
        time.sleep(seconds)
        return (used() - before) / seconds

    @contextmanager
    def lit(self) -> Iterator[None]:
        """Start them all, and end them all."""
        try:
            for name, start in self.starts.items():
                self.running[name] = start()
            yield
        finally:
            for process in self.running.values():
                process.terminate()
            for process in self.running.values():
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            for one in self.progress.values():
                one.close()

    def _moves(self, name: str, before: int) -> bool:
        deadline = time.monotonic() + AT_WORK_WITHIN
        while self.progress[name]() == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True
