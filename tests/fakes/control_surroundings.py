"""Surroundings of the control plane that do as they are told, and remember what was asked of them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from strangler.compare.evidence import Watched
from strangler.compare.footing import Footing, Laid
from strangler.compare.store import Hour
from strangler.config import Capability, Home
from strangler.control.facts import GatewayView, Health
from strangler.control.phases import MONOLITH, Phase
from strangler.errors import StranglerError, Unfinished
from strangler.movement.backfill import Progress
from strangler.movement.windows import Lag

VERSIONS = {"monolith": "1a", "catalog": "1a"}
RULES = {"limits": "1f"}
NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class FakeEvidence:
    """Evidence as it is good enough for every gate of the reference strangler.toml (limit 1 %)."""

    captured: int = 400
    dropped: int = 0
    comparable: int = 400
    different: int = 0
    excused: int = 2
    stale: int = 0
    shapes: int = 380
    shapes_different: int = 0
    coverage: float | None = 1.0
    differing: Sequence[str] = ()
    critical: Sequence[str] = ()
    latencies: Mapping[str, Sequence[float]] = field(
        default_factory=lambda: {"monolith": [10.0] * 400, "catalog": [8.0] * 400}
    )
    slow: Sequence[object] = ()
    since: datetime.datetime | None = NOON
    laid: Laid | None = field(
        default_factory=lambda: Laid(Footing(VERSIONS, RULES), NOON, "the comparator began")
    )

    def slower(self, slack: float) -> Sequence[object]:
        return self.slow


NO_EVIDENCE = FakeEvidence(
    captured=0, comparable=0, excused=0, shapes=0, coverage=None, latencies={"monolith": [], "catalog": []}
)


@dataclass(frozen=True)
class FakeRound:
    """A verification that ran to its end, a moment ago."""

    tables: Sequence[str] = ("catalog_rug", "catalog_weaver")
    rows: int = 8212
    suspects: int = 0
    differing: int = 0
    unsettled: int = 0
    named: Sequence[str] = ()
    seconds: float = 0.4

    @property
    def equal(self) -> bool:
        return not self.differing and not self.unsettled


NOTHING = Lag(0, 0.0)


@dataclass(frozen=True)
class FakeFollowing:
    """Rows that follow as they should, once that is ordered. `behind`: changes and seconds."""

    ordered: bool = True
    copied: bool = True
    copying: Sequence[Progress] = ()
    word: float | None = 0.4
    held: str | None = None
    lag: Lag | None = NOTHING
    round: FakeRound | None = FakeRound()
    age: float | None = 3.0
    problem: str | None = None
    unknown: str | None = None

    @property
    def follows(self) -> bool:
        return self.ordered and self.copied and not self.held and not self.unknown

    @property
    def lives(self) -> bool:
        return self.word is not None and self.word < 10


NOT_ORDERED = FakeFollowing(ordered=False, copied=False, word=None, lag=None, round=None, age=None)


@dataclass(frozen=True)
class FakeOwnership:
    """Rows that their first owner has, with nothing in the way of a switch."""

    owner: str = "monolith"
    settled: bool = True
    epoch: int = 0
    sentence: str = "monolith owns the rows, as it always has."
    foreign_keys: Sequence[str] = ()
    crossings: Sequence[str] = ()
    recorded_for: float | None = 7200.0
    holders: Sequence[str] = ()
    unknown: str | None = None


@dataclass(frozen=True)
class FakeContracts:
    """Contracts that are kept, unless told otherwise."""

    deployable: bool = True
    sentence: str = "monolith 1a2b and catalog 3c4d each pass the 9 interactions that ordering needs."


@dataclass
class FakeSurroundings:
    """A healthy world. `taken` are the phases that the gateway routes by; `calls` what was done, in order."""

    taken: dict[str, Phase] = field(default_factory=dict)
    down: str | None = None  # why the gateway doesn't answer
    refusal: str | None = None  # why the gateway refuses what is published
    unready: str | None = None  # why the service isn't ready
    unfit_tables: Sequence[str] = ()  # why they can't follow
    differing: str | None = None  # what a verification in the move says
    rows: FakeFollowing = NOT_ORDERED
    owned: FakeOwnership = FakeOwnership()
    failing: str | None = None  # the step of a switch that fails
    committed: int = 0  # the epoch that has passed its commit point
    still_used: Sequence[str] = ()  # what names the old tables
    left: str | None = None  # what is left once they are dropped
    seen: FakeEvidence | Sequence[FakeEvidence] = field(default_factory=FakeEvidence)
    kept: FakeContracts | None = field(default_factory=FakeContracts)
    calls: list[str] = field(default_factory=list)
    since: datetime.datetime | None = None  # the moment that evidence was last asked from
    versions: dict[str, str] = field(default_factory=lambda: dict(VERSIONS))
    hours: Sequence[Hour] = (Hour(1, comparable=400, answered=40),)  # what the guard sees
    critical: Sequence[str] = ()

    def health(self, home: Home) -> Health:
        if self.unready and home.name == "catalog":
            return Health(home.name, False, self.unready)
        return Health(home.name, True, "/health/ready answers 200", self.versions[home.name])

    def gateway(self, phases: Mapping[str, Phase]) -> GatewayView:
        if self.down:
            return GatewayView(None, revision(phases), detail=self.down)
        return GatewayView(revision(self.taken), revision(phases))

    def rehearse(self, phases: Mapping[str, Phase]) -> None:
        if self.refusal:
            raise StranglerError(self.refusal)

    def publish(self, phases: Mapping[str, Phase]) -> str:
        self.calls.append("publish " + " ".join(f"{name}={phase}" for name, phase in sorted(phases.items())))
        if self.refusal:
            raise StranglerError(self.refusal)
        self.taken = dict(phases)
        return revision(phases)

    def unfit(self, capability: Capability) -> Sequence[str]:
        return self.unfit_tables

    def capture(self, capability: Capability) -> str:
        self.calls.append(f"capture {capability.name}")
        return f"every change of {', '.join(capability.tables)} is taken from here on"

    def follow(self, capability: Capability, by: str, progress: object) -> str:
        self.calls.append(f"follow {capability.name}")
        self.rows = FakeFollowing()
        return "they follow, after 0.4 s and 8,212 rows"

    def verify(self, capability: Capability) -> str:
        if self.differing:
            raise StranglerError(self.differing)
        return "8,212 rows in 2 tables are equal on both sides."

    def stop_following(self, capability: Capability) -> str:
        self.calls.append(f"stop following {capability.name}")
        self.rows = NOT_ORDERED
        return (
            f"{', '.join(capability.tables)} follow no more, and nothing is captured of them; the rows stay"
        )

    def following(self, capability: Capability) -> FakeFollowing:
        return self.rows

    def replicate(self, capability: Capability) -> str:
        self.calls.append(f"replicate {capability.name}")
        return f"{capability.owner} owns the rows; at {capability.home} only the applier writes them"

    def switch_step(self, capability: Capability, step: str, origin: str, epoch: int) -> str:
        self.calls.append(f"{step} {origin} {epoch}")
        if step == self.failing:
            raise StranglerError(f"{step} fails here.")
        target = capability.home if origin == capability.owner else capability.owner
        if step == "commit":
            self.committed = epoch
            said = f"{target} owns the rows in epoch {epoch}, {origin} follows."
            self.owned = replace(self.owned, owner=target, epoch=epoch, sentence=said)
        return f"{step.replace('_', ' ')}: done in 1 ms"

    def undo_switch(self, capability: Capability, origin: str, epoch: int) -> bool:
        self.calls.append(f"undo {origin} {epoch}")
        if self.committed == epoch:
            return False
        self.owned = replace(self.owned, epoch=epoch)
        return True

    def ownership(self, capability: Capability) -> FakeOwnership:
        return self.owned

    def references(self, capability: Capability) -> Sequence[str]:
        return self.still_used

    def forget_owner(self, capability: Capability) -> str:
        self.calls.append(f"forget {capability.name}")
        return "the fences are gone; monolith owns the rows, as before"

    def archive(self, capability: Capability) -> str:
        self.calls.append(f"archive {capability.name}")
        return "8,212 rows of 2 tables lie in the archive, restore tried"

    def drop(self, capability: Capability) -> str:
        self.calls.append(f"drop {capability.name}")
        if self.left:
            raise Unfinished(self.left)
        return "dropped"

    def contracts(self, capability: Capability) -> FakeContracts | None:
        return self.kept

    def evidence(self, capability: Capability, since: datetime.datetime | None) -> FakeEvidence:
        self.since = since
        if isinstance(self.seen, FakeEvidence):
            return self.seen
        now, *later = self.seen  # one for each look, the last one for ever
        self.seen = later or now
        return now

    def watched(self, capability: Capability, since: datetime.datetime) -> Watched:
        return Watched(since, tuple(self.hours), tuple(self.critical))

    def rules(self, capability: Capability) -> Mapping[str, str]:
        return RULES


class LastingSurroundings(FakeSurroundings):
    """The same in a file that outlives a killed process; `at_publish` is called once routes are taken."""

    def __init__(self, file: Path, at_publish: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._file, self._at_publish = file, at_publish
        if file.exists():
            kept = json.loads(file.read_text())
            self.taken = {name: Phase.parse(phase) for name, phase in kept["taken"].items()}
            self.rows = FakeFollowing() if kept["follows"] else NOT_ORDERED

    def publish(self, phases: Mapping[str, Phase]) -> str:
        taken = super().publish(phases)
        self._keep()
        self._at_publish()
        return taken

    def follow(self, capability: Capability, by: str, progress: object) -> str:
        said = super().follow(capability, by, progress)
        self._keep()
        return said

    def stop_following(self, capability: Capability) -> str:
        said = super().stop_following(capability)
        self._keep()
        return said

    def _keep(self) -> None:
        taken = {name: str(phase) for name, phase in self.taken.items()}
        self._file.write_text(json.dumps({"taken": taken, "follows": self.rows.follows}))


def revision(phases: Mapping[str, Phase]) -> str:
    """A revision that reads as what it routes; capabilities at monolith need no route."""
    moved = [f"{name}:{phase}" for name, phase in sorted(phases.items()) if phase != MONOLITH]
    return "+".join(moved) or "plain"
