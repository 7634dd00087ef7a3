"""The tour: under load, a capability moves out, is compared answer by answer, comes back, and moves again.

It uses what any operator has: the verbs' own functions, the load generator, the comparator's evidence.
"""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from strangler.compare.store import connect
from strangler.config import Capability, Config
from strangler.contracts.running import verify_and_record
from strangler.contracts.text import verification_text
from strangler.control.desk import Desk, at_desk
from strangler.control.effects import Effect, PublishRoutes
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase, meaning
from strangler.control.plan import Plan
from strangler.control.store import Transition
from strangler.control.transition import advance_at, take_back_at
from strangler.errors import StranglerError
from strangler.run.answers import Window, among, percentile
from strangler.run.load import LoadGenerator
from strangler.run.system import System

OPERATOR = "the tour"
DWELL = 5.0  # seconds that a phase without gates behind it is watched
PATIENCE = 150.0  # seconds for a phase's gates
LONGEST = 900.0  # seconds of load, whatever happens
SETTLE = 2.0  # seconds in which a comparator that still compares stores something
LATEST = 30.0  # seconds that it is waited for

FORTH = (SHADOW, Phase("canary", 10), Phase("canary", 50), SWITCHED)
AGAIN = (SHADOW, Phase("canary", 50), SWITCHED)


@dataclass(frozen=True)
class Leg:
    """One phase of the tour: when it began, what clients got, and how long the change took.

    `effect` is the time in seconds from the order to the gateway's word that it routes so; None for the phase
    that the tour began in. `compared`, `different` and `stale` count the requests captured in this phase.
    """

    phase: Phase
    since: datetime.datetime
    window: Window
    effect: float | None
    compared: int = 0
    different: int = 0
    stale: int = 0


@dataclass
class TourResult:
    """The legs in their order, and why the tour ended early, if it did."""

    capability: Capability
    legs: list[Leg] = field(default_factory=list)
    stopped: str = ""

    @property
    def requests(self) -> int:
        return sum(leg.window.requests for leg in self.legs)

    @property
    def failed(self) -> int:
        return sum(leg.window.failed for leg in self.legs)

    @property
    def different(self) -> int:
        return sum(leg.different for leg in self.legs)

    @property
    def compared(self) -> int:
        return sum(leg.compared for leg in self.legs)

    @property
    def stale(self) -> int:
        return sum(leg.stale for leg in self.legs)

    @property
    def ok(self) -> bool:
        """Every leg was gone, something was compared, and nothing failed or differed."""
        return not self.stopped and not self.failed and not self.different and self.compared > 0


def tour(config: Config, system: System, console: Console, name: str | None = None) -> TourResult:
    """Give the tour for a capability (the first that reads unless named); prints as it goes.

    Never raises because a gate holds or a request fails: the result says so.
    """
    capability = config.capability(name) if name else next(iter(config.reads.values()))
    result = TourResult(capability)
    console.print(
        f"\n[bold]The tour[/]: {capability.name} moves from {capability.owner} to the service "
        f"{capability.home}, with {config.load.rate:g} reads and writes a second at {system.gateway}.\n"
    )
    try:
        if capability.gate.contracts:
            _keep_contracts(config, system, console)
        with at_desk(config, system, OPERATOR) as desk:
            guide = _Guide(desk, capability, console, result)
            guide.begin_at_monolith()
            try:
                with Traffic(config, system.gateway) as traffic:
                    guide.walk(traffic)
            finally:
                result.legs = counted(result.legs, system, capability.name)
    except StranglerError as refusal:
        result.stopped = str(refusal)
    console.print(as_table(result))
    console.print(verdict(result))
    return result


def _keep_contracts(config: Config, system: System, console: Console) -> None:
    """Find out whether what runs keeps its contracts: every later gate asks for that."""
    console.print("Before anything moves, every consumer's pact is run against both homes.\n")
    done, lines = verify_and_record(config, system, OPERATOR)
    console.print(verification_text(done))
    for line in lines:
        console.print(line, markup=False)
    console.print()


def counted(legs: list[Leg], system: System, name: str) -> list[Leg]:
    """The legs with what was compared in each, once the comparator is through with what was captured."""
    begun = [leg.since for leg in legs]
    deadline = time.monotonic() + LATEST
    with connect(system) as store:
        found = store.stretches(name, begun)
        while True:
            time.sleep(SETTLE)
            before, found = found, store.stretches(name, begun)
            if found == before or time.monotonic() > deadline:
                break
    return [
        replace(leg, compared=one.comparable, different=one.different, stale=one.stale)
        for leg, one in zip(legs, found, strict=True)
    ]


class Traffic:
    """The load generator on a thread of its own, for as long as the block lasts."""

    def __init__(self, config: Config, url: str) -> None:
        self.generator = LoadGenerator(config, url)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(self.generator.run(LONGEST))
        except BaseException as error:  # handed to whoever looks next
            self._error = error

    def window(self) -> Window:
        """What was counted since the last call."""
        return self.generator.window()

    def check(self) -> None:
        """Raise what ended the load, if it has ended."""
        if self._error:
            raise self._error

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.generator.stop()
        self._thread.join(30)


class _Guide:
    """Walks the legs, and shows on one line what is going on."""

    def __init__(self, desk: Desk, capability: Capability, console: Console, result: TourResult) -> None:
        self.desk, self.capability, self.console, self.result = desk, capability, console, result
        self._phase, self._since = MONOLITH, _now()
        self._effect: float | None = None
        self._line: Live | None = None

    def begin_at_monolith(self) -> None:
        standing = self.desk.store.standing(self.capability.name)
        if take_back_at(self.desk, self.capability.name) and standing.phase != MONOLITH:
            self.console.print(f"It stood at {standing.phase}; the tour begins at {MONOLITH}.")

    def walk(self, traffic: Traffic) -> None:
        """Every leg, in its order; what was counted up to a gate that holds is kept."""
        with self._live():
            try:
                self._watch(traffic)
                for phase in FORTH:
                    self._forward(traffic, phase)
                self._watch(traffic)
                self._back(traffic)
                self._watch(traffic)
                for phase in AGAIN:
                    self._forward(traffic, phase)
                self._watch(traffic)
            finally:
                self._close_leg(traffic)

    def _forward(self, traffic: Traffic, phase: Phase) -> None:
        def look(plan: Plan) -> None:
            self._say(traffic, f"before {phase}: {plan.held[0].sentence}")

        def begun(effect: Effect) -> None:
            self._say(traffic, effect.describe())
            if isinstance(effect, PublishRoutes):
                self._close_leg(traffic)

        name = self.capability.name
        done = advance_at(self.desk, name, phase, wait=PATIENCE, look=look, begun=begun)
        self._arrive(phase, done)

    def _back(self, traffic: Traffic) -> None:
        self._close_leg(traffic)
        self._arrive(MONOLITH, take_back_at(self.desk, self.capability.name))

    def _arrive(self, phase: Phase, done: Transition | None) -> None:
        self._phase, self._effect = phase, routed_within(done)
        took = f" after {self._effect * 1000:.0f} ms" if self._effect is not None else ""
        sentence = meaning(phase, self.capability.owner, self.capability.home)
        self.console.print(f"[green]→[/] [bold]{phase}[/]{took}: {sentence}")

    def _watch(self, traffic: Traffic) -> None:
        until = time.monotonic() + DWELL
        while (left := until - time.monotonic()) > 0:
            self._say(traffic, f"watching for {left:.0f} s more")
            time.sleep(min(0.5, left))

    def _close_leg(self, traffic: Traffic) -> None:
        self.result.legs.append(Leg(self._phase, self._since, traffic.window(), self._effect))
        self._since = _now()

    @contextmanager
    def _live(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, transient=True, auto_refresh=False) as self._line:
            yield
        self._line = None

    def _say(self, traffic: Traffic, sentence: str) -> None:
        traffic.check()
        if self._line is None:
            return
        total = traffic.generator.total
        line = Text.assemble(
            (f"  {self._phase}  ", "bold cyan"),
            f"{total.requests:,} requests, ",
            (f"{total.failed:,} failed", "bold red" if total.failed else "green"),
            f"   {sentence}",
        )
        line.truncate(self.console.width - 1, overflow="ellipsis")
        self._line.update(line, refresh=True)


def routed_within(done: Transition | None) -> float | None:
    """Seconds from the order to route otherwise to the gateway's word that it does."""
    for effect in done.effects if done else ():
        if effect.kind == "publish_routes" and effect.started and effect.finished:
            return (effect.finished - effect.started).total_seconds()
    return None


def as_table(result: TourResult) -> Table:
    """The legs as rows: requests, failures, comparison, and both homes' latencies."""
    homes = (result.capability.owner, result.capability.home)
    table = Table(
        title=f"{result.capability.name}, phase by phase", title_justify="left", header_style="bold"
    )
    table.add_column("phase")
    table.add_column("effect\nms", justify="right")
    for home in homes:
        table.add_column(f"{home}\nanswers", justify="right")
    for word in ("writes", "failed", "compared", "differing", "stale"):
        table.add_column(word, justify="right")
    for home in homes:
        table.add_column(f"{home}\np50 / p95 ms", justify="right")
    for leg in result.legs:
        table.add_row(
            str(leg.phase),
            "" if leg.effect is None else f"{leg.effect * 1000:.0f}",
            *(f"{leg.window.answers(home):,}" for home in homes),
            f"{leg.window.writes:,}",
            _alarm(leg.window.failed),
            f"{leg.compared:,}" if leg.compared or leg.phase != MONOLITH else "",
            _alarm(leg.different),
            f"{leg.stale:,}",
            *(_latencies(leg.window.homes.get(home, [])) for home in homes),
        )
    return table


def verdict(result: TourResult) -> Text:
    """One sentence on how it went, and what failed first, if anything did."""
    sentence = (
        f"{result.requests:,} requests{among(*(leg.window for leg in result.legs))}, "
        f"{result.failed:,} failed; "
        f"{result.compared:,} compared, {result.different:,} differing, {result.stale:,} stale."
    )
    text = Text(sentence, "bold green" if result.ok else "bold red")
    if result.stopped:
        text.append(f"\nThe tour ended early. {result.stopped}", "red")
    failures = [failure for leg in result.legs for failure in leg.window.failures]
    for failure in failures[:5]:
        text.append(
            f"\n{failure.kind}: {failure.path} as {failure.user or 'anonymous'}: {failure.said[:120]}"
        )
    if result.different:
        text.append(f"\n`strangler compare {result.capability.name} --live` shows where they differ.")
    return text


def _alarm(number: int) -> str:
    return f"[bold red]{number:,}[/]" if number else "0"


def _latencies(values: list[float]) -> str:
    return f"{percentile(values, 0.5):.1f} / {percentile(values, 0.95):.1f}" if values else ""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
