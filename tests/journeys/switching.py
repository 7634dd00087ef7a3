"""The whole life of a write capability under load: `python -m tests.journeys.switching`.

Replicate, switch, rest, reverse, rest, switch again, complete, while numbered writes and reads go on through
the gateway. Then each write that was accepted is looked for at both homes. Ends with 0 if none failed, none
was lost or doubled, and the rows are equal; prints the longest pause that a client saw.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psycopg
from rich.console import Console
from rich.table import Table

from strangler.run import system as running
from strangler.run.answers import percentile
from strangler.run.postgres import free_port
from tests.journeys.project import HERE, Project, own_database, until

LOOMS = Path(__file__).parent / "looms"
NAME = "rugs.write"
HELD = 4  # the exit code where a gate holds
SEEN_WITHIN = 120.0  # seconds until gates have seen that nothing is written or read any more
LIFE = (
    ("replicate", ("apply", NAME, "replicate")),
    ("switched", ("apply", NAME, "switched", "--wait", "60")),
    ("reversed", ("reverse", NAME)),
    ("switched again", ("apply", NAME, "switched", "--wait", "60")),
    ("complete", ("complete", NAME, "--confirm", NAME)),
)


@dataclass
class Clients:
    """Clients that write and read at a steady rate; what they were told, and how long they waited."""

    url: str
    accepted: dict[int, float] = field(default_factory=dict)
    changed: dict[int, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)  # when it began, and how long, in seconds
    reads: int = 0

    async def run(self, writes: float, reads: float, stop: asyncio.Event) -> None:
        """Send until `stop` is set; what is under way then is waited for."""
        numbers, under_way = itertools.count(1), set()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=400), timeout=aiohttp.ClientTimeout(30)
        ) as session:
            began, sent_writes, sent_reads = time.monotonic(), 0, 0
            while not stop.is_set():
                elapsed = time.monotonic() - began
                for _ in range(int(elapsed * writes) - sent_writes):
                    sent_writes += 1
                    under_way.add(asyncio.create_task(self._write(session, next(numbers))))
                for _ in range(int(elapsed * reads) - sent_reads):
                    sent_reads += 1
                    under_way.add(asyncio.create_task(self._read(session, 1 + sent_reads % 50)))
                under_way = {task for task in under_way if not task.done()}
                await asyncio.sleep(0.005)
            await asyncio.gather(*under_way)

    async def _write(self, session: aiohttp.ClientSession, number: int) -> None:
        began = time.monotonic()
        # Every fourth write changes a row that is there, whose changes are counted in its price.
        known = number % 4 == 0 and self.accepted
        target = number % 40 + 1 if known and number % 40 + 1 in self.accepted else None
        try:
            if target:
                request = session.patch(f"{self.url}/api/rugs/{target}/")
            else:
                request = session.post(f"{self.url}/api/rugs/", json={"number": number})
            async with request as answer:
                said = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(f"write {number}: {error!r}")
            return
        self.waits.append((began, time.monotonic() - began))
        if answer.status not in (200, 201):
            self.failed.append(f"write {number}: {answer.status} {said[:200]}")
        elif target:
            self.changed[target] = self.changed.get(target, 0) + 1
        else:
            self.accepted[number] = began

    async def _read(self, session: aiohttp.ClientSession, number: int) -> None:
        try:
            async with session.get(f"{self.url}/api/rugs/{number}/") as answer:
                await answer.read()
            self.reads += 1
            if answer.status != 200:
                self.failed.append(f"read {number}: {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(f"read {number}: {error!r}")


@contextmanager
def looms(
    root: Path, server: str | None = None, *, broker: str | None = None, fence: float = 6
) -> Iterator[Project]:
    """The looms in a directory of their own, up and running; on `server`, or on an embedded one.

    Events go by `broker`, a RabbitMQ's URL, or without one from the outboxes. `fence`: for how many seconds
    it may stand.
    """
    declared = (LOOMS / "strangler.toml").read_text()
    assert declared.count("fence = 6") == 1
    (root / "strangler.toml").write_text(declared.replace("fence = 6", f"fence = {fence:g}"))
    known = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in known if name in os.environ}
    environment |= {"PYTHONPATH": str(HERE), "STRANGLER_OPERATOR": "anna@journey"}
    environment |= {"BROKER_URL": broker} if broker else {}
    if server is None:
        yield from _up(Project(root, environment))
        return
    with own_database(server) as url:
        yield from _up(Project(root, {**environment, "LOOMS_DATABASE_URL": url}))


def _up(project: Project) -> Iterator[Project]:
    try:
        # A port of its own: Envoys share one that several of them ask for, and nobody refuses the second.
        project.does("run", "--detach", "--port", str(free_port()), timeout=300)
        yield project
    finally:
        project.strangler("stop")


def databases(project: Project) -> dict[str, str]:
    """URLs of both homes' databases."""
    system = running.load(project.root)
    assert system
    return {name: system.databases[name] for name in ("shop", "service")}


async def live(project: Project, clients: Clients, writes: float, reads: float, rest: float) -> list[tuple]:
    """Carry out the life; for each move when it began and how long it took, in seconds."""
    stop, moves = asyncio.Event(), []
    load = asyncio.create_task(clients.run(writes, reads, stop))
    try:
        await asyncio.sleep(1)
        for word, arguments in LIFE:
            if word == "complete":  # the old tables must be equal to the end, and then they are gone
                await asyncio.sleep(rest)
                stop.set()
                await load
                check(project, clients)
            began = time.monotonic()
            done = await asyncio.to_thread(project.strangler, *arguments, timeout=120)
            while word == "complete" and done.code == HELD and time.monotonic() < began + SEEN_WITHIN:
                await asyncio.sleep(2)  # what has read the old tables is counted late, and rows in rounds
                done = await asyncio.to_thread(project.strangler, *arguments, timeout=120)
            if done.code:
                raise SystemExit(f"{' '.join(arguments)} ended with {done.code}: {done.out}{done.err}")
            moves.append((word, began, time.monotonic() - began))
            await asyncio.sleep(rest if word != "complete" else 0)
    finally:
        stop.set()
        await load
    return moves


def heard_of(project: Project) -> dict[int, int]:
    """How often the fair has heard of each rug, by its number."""
    with psycopg.connect(databases(project)["shop"]) as database:
        return dict(database.execute("SELECT number, times FROM fair_sighting").fetchall())


def check(project: Project, clients: Clients) -> None:
    """Each accepted write is at both homes once, each change is counted once, and the rows are equal.

    And each rug was heard of once.
    """
    assert not clients.failed, f"{len(clients.failed)} failed: {clients.failed[:5]}"
    rows: dict[str, dict[int, tuple[int, float]]] = {}
    deadline = time.monotonic() + 30
    while True:
        for home, url in databases(project).items():
            with psycopg.connect(url) as database:
                found = database.execute(
                    "SELECT r.number, r.id, r.price::float8, count(k.id) FROM rugs_rug AS r "
                    "LEFT JOIN rugs_knot AS k ON k.rug_id = r.id GROUP BY 1, 2, 3"
                ).fetchall()
            rows[home] = {number: (key, price, knots) for number, key, price, knots in found}
        if rows["shop"] == rows["service"] or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert rows["shop"] == rows["service"], "the homes' rows differ"
    there = rows["service"]
    assert sorted(there) == sorted(clients.accepted), (
        f"lost: {sorted(set(clients.accepted) - set(there))[:9]}, "
        f"not accepted: {sorted(set(there) - set(clients.accepted))[:9]}"
    )
    assert len({key for key, _, _ in there.values()}) == len(there), "an id was given out twice"
    wrong = {n: (there[n][1], c) for n, c in clients.changed.items() if there[n][1] != 1 + c}
    assert not wrong, f"changes that were lost or doubled: {wrong}"
    assert {knots for _, _, knots in there.values()} == {1}
    once = dict.fromkeys(there, 1)
    until(lambda: heard_of(project) == once, "each rug to be heard of once")


def report(clients: Clients, moves: list[tuple], console: Console) -> None:
    table = Table(title="The life of rugs.write under load", title_justify="left", header_style="bold")
    for heading in ("move", "took s", "longest pause ms"):
        table.add_column(heading, justify="left" if heading == "move" else "right")
    for word, began, took in moves:
        waits = [wait for at, wait in clients.waits if began - 1 < at < began + took]
        pause = f"{max(waits) * 1000:.0f}" if waits else ""
        table.add_row(word, f"{took:.2f}", pause)
    console.print(table)
    usual = percentile([wait for _, wait in clients.waits], 0.5) * 1000
    longest = max((wait for _, wait in clients.waits), default=0) * 1000
    console.print(
        f"{len(clients.waits):,} writes, {clients.reads:,} reads, {len(clients.failed)} failed, none lost, "
        f"none doubled. A write took {usual:.1f} ms (p50); the longest pause was {longest:.0f} ms."
    )
    for failure in clients.failed[:5]:
        console.print(f"  {failure}", style="red")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.journeys.switching")
    parser.add_argument("--writes", type=float, default=200, help="a second  [default: 200]")
    parser.add_argument("--reads", type=float, default=500, help="a second  [default: 500]")
    parser.add_argument("--rest", type=float, default=30, help="seconds between two moves  [default: 30]")
    asked = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="looms-") as root,
        looms(Path(root), os.environ.get("DATABASE_URL"), broker=os.environ.get("BROKER_URL")) as project,
    ):
        clients = Clients(project.gateway)
        moves = asyncio.run(live(project, clients, asked.writes, asked.reads, asked.rest))
    report(clients, moves, console)
    sys.exit(1 if clients.failed else 0)


if __name__ == "__main__":
    main()
