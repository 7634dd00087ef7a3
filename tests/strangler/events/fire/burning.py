"""Sets fire to everything between a change and its effect, and waits until every effect is there.

Processes are killed with SIGKILL at random moments and started again at once, as a supervisor does. Servers
are restarted, and one is crashed. What burns is chosen by a seed, which is printed.
"""

from __future__ import annotations

import datetime
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.strangler.events.conftest import ROOT, Shop
from tests.strangler.events.fire.verdict import Verdict, effects_again, pace, verdict

AWAY = 2.0  # seconds that a crashed server is left lying
KNOWN = re.compile(r"knows (\d+) of \d+ events already")


class Unfinished(AssertionError):
    """Not every effect was there in time."""


@dataclass(frozen=True)
class Size:
    """How much burns: `kills` of each kind of process; servers are restarted and, last of all, crashed."""

    events: int
    keys: int
    writers: int
    kills: int
    restarts: int
    crashes: int
    seconds: float  # that the writers take
    within: float  # seconds until all is to be settled


FULL = Size(20_000, 500, 4, 10, 3, 1, seconds=80, within=300)
SAMPLE = Size(1_600, 50, 3, 2, 1, 0, seconds=9, within=60)


@dataclass
class Burning:
    """The processes that may die, by name; each is started again as it was."""

    starts: dict[str, Callable[[], subprocess.Popen[bytes]]]
    chance: random.Random
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def kill(self, name: str) -> None:
        """End one with SIGKILL, and start it again, unless it has done its work.

        It is held still for a moment first: what has piled up by then, it is in the middle of when it dies.
        """
        process = self.running[name]
        if process.poll() == 0 and name.startswith("writer"):
            return
        self.check()
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.2, 0.8))
        process.send_signal(signal.SIGCONT)
        time.sleep(self.chance.uniform(0.0, 0.06))
        process.kill()
        process.wait()
        self.running[name] = self.starts[name]()

    def check(self) -> None:
        """Unfinished if one has ended by itself: it is to outlast whatever it depends on."""
        gave_up = [name for name, one in self.running.items() if one.poll()]
        if gave_up:
            raise Unfinished(f"{' and '.join(gave_up)} ended by itself, and should have waited.")

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


@dataclass(frozen=True)
class Server:
    """What the shops depend on: how it is restarted in good order, crashed, and started again."""

    name: str
    stop: Callable[[], None]
    crash: Callable[[], None]
    start: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """What was found once the fire was out."""

    verdict: Verdict
    kills: dict[str, int]
    events_per_second: float
    redelivered: int
    longest_gap: float
    again: float  # the most seconds from a server's return to the next effect
    busy: float  # the largest share of a core, of relay and consumer, while the server was away


def burn(publisher: Shop, subscriber: Shop, server: Server, size: Size, seed: int) -> Outcome:
    """Let writers announce while everything dies; returns what is found when every effect but those of the
    poisoned key is there. Raises Unfinished when that takes too long."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fire-logs-")))
        burning = Burning(_starts(publisher, subscriber, size, folder), chance)
        names = [name for name in burning.starts if not name.startswith("writer")]
        kills = [name for name in names for _ in range(size.kills)]
        kills += [f"writer {chance.randrange(size.writers)}" for _ in range(size.kills)]
        kills += [f"stop {server.name}"] * size.restarts + [f"crash {server.name}"] * size.crashes
        chance.shuffle(kills)
        stack.enter_context(burning.lit())
        deadline, busy, back = time.monotonic() + size.within, 0.0, []
        # Restarting a server takes time too: the rest is shared among the pauses.
        between = max(0.5, (size.seconds - 7 * (size.restarts + size.crashes)) / len(kills))
        for name in kills:
            time.sleep(between * chance.uniform(0.4, 1.6))
            if name.startswith(("stop", "crash")):
                server.stop() if name.startswith("stop") else server.crash()
                busy = max(busy, burning.busy(names, AWAY))
                server.start()
                back.append(datetime.datetime.now(datetime.UTC))
            else:
                burning.kill(name)
        for name in burning.running:
            if name.startswith("writer"):
                burning.running[name].wait(max(1.0, deadline - time.monotonic()))
        burning.check()
        found = _settled(publisher, subscriber, deadline)
        redelivered = sum(int(n) for one in folder.glob("*.log") for n in KNOWN.findall(one.read_text()))
    took, gap = pace(subscriber.url)
    return Outcome(
        verdict=found,
        kills={name: kills.count(name) for name in sorted(set(kills))},
        events_per_second=found.handled / took,
        redelivered=redelivered,
        longest_gap=gap,
        again=effects_again(subscriber.url, back),
        busy=busy,
    )


def _starts(
    publisher: Shop, subscriber: Shop, size: Size, folder: Path
) -> dict[str, Callable[[], subprocess.Popen[bytes]]]:
    def start(shop: Shop, name: str, *words: str) -> Callable[[], subprocess.Popen[bytes]]:
        def started() -> subprocess.Popen[bytes]:
            with (folder / f"{name}.log").open("ab") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", *words], cwd=ROOT, env=shop.environment, stdout=log, stderr=log
                )

        return started

    starts = {"consumer": start(subscriber, "consumer", "django", "consume_events")}
    if publisher.environment["EVENTS_BROKER_URL"]:
        starts["relay"] = start(publisher, "relay", "django", "relay_events")
    for number in range(size.writers):
        words = (number, size.writers, size.events, size.keys, size.seconds)
        name = f"writer {number}"
        module = "tests.strangler.events.fire.writing"
        starts[name] = start(publisher, name, module, *(str(one) for one in words))
    return starts


def poisoned(subscriber: Shop) -> tuple[str, ...]:
    """The keys that are parked now."""
    return tuple(key for (key,) in subscriber.rows("SELECT DISTINCT key FROM strangler_inbox_parked"))


def _settled(publisher: Shop, subscriber: Shop, deadline: float) -> Verdict:
    """Wait until every effect but the poisoned key's is there, and a while longer for one too many."""
    while True:
        found = verdict(publisher.url, subscriber.url, without=poisoned(subscriber))
        waiting = subscriber.rows("SELECT count(*) FROM strangler_inbox_parked")[0][0]
        if found.handled >= found.committed and waiting:
            time.sleep(1.0)
            return verdict(publisher.url, subscriber.url, without=poisoned(subscriber))
        if time.monotonic() > deadline:
            raise Unfinished(f"When time was up: {found}; {waiting:,} parked.")
        time.sleep(0.3)
