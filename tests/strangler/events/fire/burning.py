"""Sets fire to everything between a change and its effect, and waits until every effect is there.

With each kill the writers are let on by a share of the events, so that it meets work, on a fast machine and
on a slow one. Servers are restarted, and one is crashed. A seed, which is printed, chooses what burns when.
"""

from __future__ import annotations

import datetime
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.strangler.events.conftest import ROOT, Shop
from tests.strangler.events.fire.processes import Burning, Progress, Start
from tests.strangler.events.fire.verdict import Verdict, effects_again, pace, verdict

AWAY = 2.0  # seconds that a server is left lying
KNOWN = re.compile(r"knows (\d+) of \d+ events already")
# A sequence counts what isn't committed yet, too.
EFFECTS = "SELECT last_value FROM rugs_seen_position_seq"
PUBLISHED = "SELECT count(*) FROM strangler_outbox_event WHERE published_at IS NOT NULL"


class Unfinished(AssertionError):
    """Not every effect was there in time."""


@dataclass(frozen=True)
class Size:
    """How much burns: `kills` of each kind of process; the server is restarted, and crashed."""

    events: int
    keys: int
    writers: int
    kills: int
    restarts: int
    crashes: int
    within: float  # seconds until all is to be settled


FULL = Size(20_000, 500, writers=4, kills=10, restarts=3, crashes=1, within=300)
SAMPLE = Size(1_600, 50, writers=3, kills=2, restarts=0, crashes=1, within=180)


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
    at_work: int  # of the kills of relay, consumer and server, how many met them working
    events_per_second: float
    redelivered: int
    longest_gap: float
    again: float  # the most seconds from a server's return to the next effect
    busy: float  # the largest share of a core, of relay and consumer, while the server was away


def burn(publisher: Shop, subscriber: Shop, server: Server, size: Size, seed: int) -> Outcome:
    """Let writers announce while everything dies, until every effect but the poisoned key's is there.

    Raises Unfinished when that takes too long, and GaveUp when a process doesn't outlast a server.
    """
    chance, deadline = random.Random(seed), time.monotonic() + size.within
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fire-logs-")))
        burning = _burning(publisher, subscriber, size, folder, chance)
        names, kills = list(burning.progress), _kills(list(burning.progress), server, size, chance)
        stack.enter_context(burning.lit())
        busy, back = 0.0, []
        for number, name in enumerate(kills, 1):
            _let_on(folder, size.events * number // len(kills))
            if name.endswith(server.name):
                burning.catch(names[-1])
                (server.stop if name.startswith("stop") else server.crash)()
                busy = max(busy, burning.busy(names, AWAY))
                server.start()
                back.append(datetime.datetime.now(datetime.UTC))
            else:
                burning.kill(name)
            if time.monotonic() > deadline:
                raise Unfinished(f"Time was up after {number} of {len(kills)} kills.")
        for name in burning.running.keys() - set(names):
            burning.running[name].wait(max(1.0, deadline - time.monotonic()))
        burning.check()
        found = _settled(publisher, subscriber, deadline)
        redelivered = sum(int(n) for one in folder.glob("*.log") for n in KNOWN.findall(one.read_text()))
    took, gap = pace(subscriber.url)
    return Outcome(
        verdict=found,
        kills={name: kills.count(name) for name in sorted(set(kills))},
        at_work=burning.at_work,
        events_per_second=found.handled / took,
        redelivered=redelivered,
        longest_gap=gap,
        again=effects_again(subscriber.url, back),
        busy=busy,
    )


def _kills(names: list[str], server: Server, size: Size, chance: random.Random) -> list[str]:
    """Who dies, in which order."""
    kills = [name for name in names for _ in range(size.kills)]
    kills += [f"writer {chance.randrange(size.writers)}" for _ in range(size.kills)]
    kills += [f"stop {server.name}"] * size.restarts + [f"crash {server.name}"] * size.crashes
    chance.shuffle(kills)
    return kills


def _burning(publisher: Shop, subscriber: Shop, size: Size, folder: Path, chance: random.Random) -> Burning:
    """Consumer, relay where there is a broker, and writers; each with a log."""

    def start(shop: Shop, name: str, *words: object) -> Start:
        def started() -> subprocess.Popen[bytes]:
            with (folder / f"{name}.log").open("ab") as log:
                command = [sys.executable, "-m", *(str(one) for one in words)]
                return subprocess.Popen(command, cwd=ROOT, env=shop.environment, stdout=log, stderr=log)

        return started

    starts = {"consumer": start(subscriber, "consumer", "django", "consume_events")}
    progress = {"consumer": Progress(subscriber.url, EFFECTS)}
    if publisher.environment["EVENTS_BROKER_URL"]:
        starts["relay"] = start(publisher, "relay", "django", "relay_events")
        progress["relay"] = Progress(publisher.url, PUBLISHED)
    _let_on(folder, 0)
    module = "tests.strangler.events.fire.writing"
    for number in range(size.writers):
        words = (module, number, size.writers, size.events, size.keys, folder / "allowed")
        starts[f"writer {number}"] = start(publisher, f"writer {number}", *words)
    return Burning(starts, progress, chance)


def _let_on(folder: Path, events: int) -> None:
    """Allow the writers so many events in all."""
    (folder / "next").write_text(str(events))
    (folder / "next").replace(folder / "allowed")


def _settled(publisher: Shop, subscriber: Shop, deadline: float) -> Verdict:
    """Wait until every effect but the poisoned key's is there, and a while longer for one too many."""
    while True:
        poisoned = [key for (key,) in subscriber.rows("SELECT DISTINCT key FROM strangler_inbox_parked")]
        found = verdict(publisher.url, subscriber.url, without=poisoned)
        if found.handled >= found.committed and poisoned:
            time.sleep(1.0)
            return verdict(publisher.url, subscriber.url, without=poisoned)
        if time.monotonic() > deadline:
            raise Unfinished(f"When time was up: {found}; {len(poisoned)} keys parked.")
        time.sleep(0.3)
