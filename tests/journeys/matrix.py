"""Strikes each participant at each effect boundary of a switch: `python -m tests.journeys.matrix`.

A cell brings a move of `rugs.write` to a boundary under light load, kills, pauses or restarts one
participant, lets the move go on, then runs the next verb. It passes if both homes agree on one owner, that
home alone takes writes and the gateway sends them there, no accepted write is lost or doubled, each is heard
of once by its subscriber, and no id was given out twice. Ends with 1 if a cell didn't; `make matrix` writes
the table of all cells to docs/matrix.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from strangler import config as configuration
from strangler.control.desk import Desk, at_desk
from strangler.control.effects import STEPS
from strangler.control.phases import MONOLITH, REPLICATE, SWITCHED, Phase
from strangler.control.transition import advance_at, take_back_at
from strangler.errors import StranglerError
from strangler.movement.fence import SQLSTATES
from strangler.run import system as running
from tests.journeys.light_load import LightLoad
from tests.journeys.project import HERE, Project, until
from tests.journeys.switching import NAME, databases, heard_of, looms
from tests.strangler.events.rabbit import Node, a_node

PAGE = HERE / "docs" / "matrix.md"
KEPT = HERE / ".strangler" / "matrix.jsonl"  # a cell's result each line
FENCE = 2.0  # seconds; short, since many cells wait for its end
PAUSE = FENCE + 1.0
PATIENCE = 60.0
OPERATOR = (sys.executable, "-m", "tests.journeys.paused_operator")

# A plan's effects in their order; a strike at one comes before it, when all before it is done.
*_first, _last = STEPS
EFFECTS = ("rehearse_routes", *_first, "publish_routes", _last, "record_phase")
DIRECTIONS = {"switch": (REPLICATE, SWITCHED, "service"), "reverse": (SWITCHED, REPLICATE, "shop")}
STRIKES = {
    "control plane killed": ("operator", signal.SIGKILL),
    "control plane killed, and left to the followers": ("left", signal.SIGKILL),
    "control plane paused": ("operator", signal.SIGSTOP),
    "service's follower killed": ("follower", signal.SIGKILL),
    "service's follower paused": ("follower", signal.SIGSTOP),
    "shop's follower killed": ("follower-shop", signal.SIGKILL),
    "shop's follower paused": ("follower-shop", signal.SIGSTOP),
    "shop killed": ("shop", signal.SIGKILL),
    "shop paused": ("shop", signal.SIGSTOP),
    "service killed": ("service", signal.SIGKILL),
    "service paused": ("service", signal.SIGSTOP),
    "Envoy killed": ("gateway", signal.SIGKILL),
    "Envoy paused": ("gateway", signal.SIGSTOP),
    "shop's relay killed": ("relay", signal.SIGKILL),
    "shop's relay paused": ("relay", signal.SIGSTOP),
    "service's relay killed": ("relay-service", signal.SIGKILL),
    "service's relay paused": ("relay-service", signal.SIGSTOP),
    "worker killed": ("worker", signal.SIGKILL),
    "worker paused": ("worker", signal.SIGSTOP),
    "PostgreSQL restarted": ("postgres", signal.SIGINT),
    "PostgreSQL killed": ("postgres", signal.SIGQUIT),
    "RabbitMQ restarted": ("rabbitmq", signal.SIGTERM),
    "RabbitMQ killed": ("rabbitmq", signal.SIGKILL),
}
SERVING = ("shop", "service", "gateway", "postgres")  # what a client's request goes through


@dataclass(frozen=True)
class Cell:
    """One strike at one boundary of one direction."""

    direction: str
    effect: str
    strike: str

    def __str__(self) -> str:
        return f"{self.strike} before {self.effect} of a {self.direction}"


ALL = [
    Cell(direction, effect, strike) for strike in STRIKES for effect in EFFECTS for direction in DIRECTIONS
]


@dataclass(frozen=True)
class Result:
    """What a cell came to: `went` is "through", "undone" or "finished"; `wrong` says what didn't hold."""

    cell: Cell
    went: str
    wrong: str | None
    seconds: float


class Wrong(AssertionError):
    """An invariant that doesn't hold after a cell."""


@dataclass
class Matrix:
    """Cells, one after the other, on one running system."""

    project: Project
    load: LightLoad
    rabbit: Node
    ids: dict[int, int] = field(default_factory=dict)  # whose each id is, as it was first seen

    def run(self, cell: Cell) -> Result:
        began = time.monotonic()
        try:
            went, wrong = self._live(cell), None
        except (AssertionError, subprocess.TimeoutExpired, psycopg.Error) as error:
            went, wrong = "astray", " ".join(str(error).split()) or type(error).__name__
        return Result(cell, went, wrong, time.monotonic() - began)

    def _live(self, cell: Cell) -> str:
        origin, target, home = DIRECTIONS[cell.direction]
        self._move_to(origin)
        unanswered = len(self.load.unknown)
        with self._operator(target, EFFECTS.index(cell.effect)) as operator:
            self._strike(cell, operator)
            said = self._end(operator)
        self._until_healthy()
        went = "through" if said == "" else "finished" if self._takes_writes(home) else "undone"
        self._move_to(target)
        self._check(home)
        # Whoever isn't on a request's way may keep a client waiting, and never lets one down.
        failed = len(self.load.unknown) - unanswered
        if failed and STRIKES[cell.strike][0] not in SERVING:
            raise Wrong(f"{failed} writes failed: {list(self.load.unknown.values())[-1]}; {said}")
        return went

    # ── To the boundary, and over it ─────────────────────────────────────────────────────────────

    @contextmanager
    def _operator(self, phase: Phase, before: int) -> Iterator[subprocess.Popen[str]]:
        """Somebody who has just reached the boundary; gates that hold for a moment are waited for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            operator = subprocess.Popen(
                [*OPERATOR, str(self.project.root), str(phase), str(before)],
                cwd=HERE, env=self.project.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            if operator.stdout.readline() == "here\n":
                break
            said = operator.communicate()[1]
            assert time.monotonic() < deadline, f"never came to the boundary: {said}"
            time.sleep(0.5)
        try:
            yield operator
        finally:
            operator.kill()
            operator.communicate()

    def _strike(self, cell: Cell, operator: subprocess.Popen[str]) -> None:
        struck, how = STRIKES[cell.strike]
        if struck == "left":
            operator.kill()
            return self._until_writes_go_on()
        if struck == "rabbitmq":
            self.rabbit.kill() if how is signal.SIGKILL else self.rabbit.stop()
            self._go_on(operator)
            return self.rabbit.start()
        pid = operator.pid if struck == "operator" else self.project._row(struck)["pid"]
        send = os.kill if struck in ("operator", "postgres") else os.killpg
        send(pid, how)
        if struck != "operator":
            self._go_on(operator)
        if how is signal.SIGSTOP:
            time.sleep(PAUSE)
            if struck == "operator":
                self._until_writes_go_on()
            with suppress(ProcessLookupError):  # its supervisor may have lost patience
                send(pid, signal.SIGCONT)
            if struck == "operator":
                self._go_on(operator)
        elif struck != "operator":
            self.project.until_healthy(struck, other_than=pid)

    def _go_on(self, operator: subprocess.Popen[str]) -> None:
        with suppress(BrokenPipeError):
            operator.stdin.write("\n")
            operator.stdin.flush()

    def _end(self, operator: subprocess.Popen[str]) -> str:
        """What the operator said at its end; "" where the move went through."""
        _, said = operator.communicate(timeout=PATIENCE)
        assert "Traceback" not in said, said
        return said or ("" if operator.returncode == 0 else "killed")

    def _until_writes_go_on(self) -> None:
        before = len(self.load.accepted)
        until(lambda: len(self.load.accepted) > before, "a write, with nobody but the followers to help",
              within=FENCE + 10)  # fmt: skip

    # ── After it ─────────────────────────────────────────────────────────────────────────────────

    def _until_healthy(self) -> None:
        for name in {struck for struck, _ in STRIKES.values()} - {"operator", "left", "rabbitmq"}:
            self.project.until_healthy(name)

    @contextmanager
    def _desk(self) -> Iterator[Desk]:
        system = running.load(self.project.root)
        assert system
        with at_desk(configuration.load(self.project.root), system, "anna@journey") as desk:
            yield desk

    def _owner(self) -> str:
        """Who owns the rows; "" where that isn't settled."""
        with self._desk() as desk:
            found = desk.ownership(desk.capability(NAME))
        return found.owner if found and found.settled else ""

    def _move_to(self, phase: Phase) -> None:
        """The next verb: it works, at the latest when whoever was struck is back and gates have seen that."""
        deadline, said = time.monotonic() + PATIENCE, ""
        while time.monotonic() < deadline:
            try:
                with self._desk() as desk:
                    if phase == REPLICATE and desk.store.standing(NAME).phase != MONOLITH:
                        take_back_at(desk, NAME, phase)
                    else:
                        advance_at(desk, NAME, phase, wait=1)
                    return
            except StranglerError as refusal:
                said = str(refusal)
                time.sleep(0.3)
        raise Wrong(f"the next verb doesn't come to {phase}: {said}")

    def _check(self, home: str) -> None:
        """One owner, whom the gateway knows, and every accepted write: at both homes, and heard of once."""
        until(lambda: self._owner() == home, f"both homes agree that {home} owns the rows", within=20)
        if (takers := [one for one in ("shop", "service") if self._takes_writes(one)]) != [home]:
            raise Wrong(f"{takers} take writes, not {home} alone")
        with self.load.quiet():
            number = self.load.write()
            if number not in self.load.accepted and number in self.load.unknown:
                raise Wrong(f"a write through the gateway fails: {self.load.unknown[number]}")
            if number in self.load.accepted and number not in self._rows(home):
                raise Wrong(f"the gateway's writes don't come to {home}")
            rows = {}

            def alike() -> bool:
                rows.update({one: self._rows(one) for one in ("shop", "service")})
                return rows["shop"] == rows["service"]

            until(alike, "the same rows at both homes", within=20)
            if wrong := self.load.wrong_rows(rows[home]):
                raise Wrong(wrong)
        until(
            lambda: heard_of(self.project).keys() >= rows[home].keys(), "the fair to hear of each", within=30
        )
        heard = heard_of(self.project)
        woven = self._rows(home)  # asked last: the load goes on
        if odd := {one: times for one, times in heard.items() if times != 1 or one not in woven}:
            raise Wrong(f"heard of more than once, or never woven: {dict(sorted(odd.items())[:5])}")
        for number, (key, _, _) in rows[home].items():
            if self.ids.setdefault(key, number) != number:
                raise Wrong(f"the id {key} was given to rug {self.ids[key]}, and to rug {number}")

    def _rows(self, home: str) -> dict[int, tuple[int, float, int]]:
        with psycopg.connect(databases(self.project)[home]) as database:
            found = database.execute(
                "SELECT r.number, r.id, r.price::float8, count(k.id) FROM rugs_rug AS r "
                "LEFT JOIN rugs_knot AS k ON k.rug_id = r.id GROUP BY 1, 2, 3"
            ).fetchall()
        return {number: (key, price, knots) for number, key, price, knots in found}

    def _takes_writes(self, home: str) -> bool:
        with psycopg.connect(databases(self.project)[home]) as database:
            try:
                database.execute("INSERT INTO rugs_rug (number, price, note) VALUES (-1, 1, '')")
            except psycopg.Error as error:
                if error.sqlstate not in SQLSTATES:
                    raise
                return False
            finally:
                database.rollback()
        return True


@contextmanager
def running_matrix(root: Path) -> Iterator[Matrix]:
    """The looms with a PostgreSQL and a RabbitMQ of their own, replicating and under light load.

    Raises NoRabbit where there is none.
    """
    with a_node() as rabbit, looms(root, None, broker=rabbit.url, fence=FENCE) as project:
        load = LightLoad(project.gateway)
        matrix = Matrix(project, load, rabbit)
        with load.busy():
            matrix._move_to(REPLICATE)
            yield matrix


def table(results: Iterable[Result]) -> str:
    """Markdown: strikes by effects, both directions in a field, and below it what is wrong."""
    by_cell = {result.cell: result for result in results}
    lines = [
        "| struck before | " + " | ".join(EFFECTS) + " |",
        "|---" * (len(EFFECTS) + 1) + "|",
    ]
    for strike in STRIKES:
        fields = []
        for effect in EFFECTS:
            both = [by_cell.get(Cell(direction, effect, strike)) for direction in DIRECTIONS]
            fields.append(", ".join("-" if one is None else _word(one) for one in both))
        lines.append(f"| {strike} | " + " | ".join(fields) + " |")
    wrong = [f"- {one.cell}: {one.wrong}" for one in by_cell.values() if one.wrong]
    return "\n".join([*lines, "", *wrong])


def _keep(result: Result) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def _kept() -> list[Result]:
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return [Result(**one | {"cell": Cell(**one["cell"])}) for one in map(json.loads, lines)]


def _word(result: Result) -> str:
    return "**WRONG**" if result.wrong else result.went


OPENING = """# Who may fall, and when

Written by `make matrix`. Each field is two trials, of the switch and of the reverse: what moves ownership was
brought to this effect under light load, whoever the row names was struck, and the move went on. It went
*through*; or it was *undone*, and the next verb moved it; or it was *finished* by the next verb, since it had
passed the commit point. In every case both homes agreed on one owner afterwards, it alone took writes and the
gateway sent them there, no accepted write was lost or doubled, each was heard of once by whoever subscribes
to it, and no id was given out twice.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.journeys.matrix")
    parser.add_argument("--sample", type=int, metavar="N", help="so many cells, by chance  [default: all]")
    parser.add_argument("--seed", type=int, default=1, help="of that chance, and of the order  [default: 1]")
    parser.add_argument("--only", default="", help="cells whose description has this text")
    parser.add_argument("--minutes", type=float, default=90, help="begin no cell after that  [default: 90]")
    parser.add_argument(
        "--go-on", action="store_true", help="keep what earlier runs found right, and try the rest"
    )
    parser.add_argument("--systems", type=int, default=2, help="that share the cells, at once  [default: 2]")
    asked = parser.parse_args()
    chosen = [cell for cell in ALL if asked.only in str(cell)]
    chance = random.Random(asked.seed)
    if asked.sample:
        chosen = chance.sample(chosen, min(asked.sample, len(chosen)))
    if not (asked.go_on or asked.sample or asked.only):
        KEPT.unlink(missing_ok=True)
    kept = {one.cell: one for one in _kept() if not one.wrong} if asked.go_on else {}
    chosen = [cell for cell in chosen if cell not in kept]
    results: list[Result] = []
    loads: list[LightLoad] = []
    left, end = iter(chosen), time.monotonic() + asked.minutes * 60

    def strike() -> None:
        with tempfile.TemporaryDirectory(prefix="looms-") as root, running_matrix(Path(root)) as matrix:
            loads.append(matrix.load)
            while time.monotonic() < end and (cell := next(left, None)):
                result = matrix.run(cell)
                results.append(result)
                _keep(result)
                print(f"{len(results)}/{len(chosen)} {cell}: {result.wrong or result.went} "
                      f"({result.seconds:.0f} s)", file=sys.stderr, flush=True)  # fmt: skip

    with ThreadPoolExecutor(asked.systems) as systems:
        for one in [systems.submit(strike) for _ in range(asked.systems)]:
            one.result()
    longest = max(load.longest for load in loads)
    writes = sum(len(load.accepted) for load in loads)
    known = kept | {result.cell: result for result in results}
    found = table(known.values())
    wrong = sum(result.wrong is not None for result in known.values())
    print(found)
    print(f"{len(known)} of {len(ALL)} cells, {wrong} wrong; {writes:,} writes were accepted. "
          f"The longest wait of a client was {longest:.1f} s.")  # fmt: skip
    if len(known) == len(ALL):
        PAGE.write_text(f"{OPENING}\n{found}")
        print(f"written: {PAGE.relative_to(HERE)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
