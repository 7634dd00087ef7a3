"""Surroundings of the control plane that do as they are told, and remember what was asked of them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from strangler.config import Capability, Home
from strangler.control.gates import GatewayView, Health
from strangler.control.phases import MONOLITH, Phase
from strangler.errors import StranglerError


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

    def slower(self, slack: float) -> Sequence[object]:
        return self.slow


NO_EVIDENCE = FakeEvidence(
    captured=0, comparable=0, excused=0, shapes=0, coverage=None, latencies={"monolith": [], "catalog": []}
)


@dataclass
class FakeRows:
    """A copy: `complete` and `equal` once it was made."""

    complete: bool = False
    equal: bool = False
    reason: str = "catalog_product isn't copied to the end; run `strangler copy`."


@dataclass
class FakeSurroundings:
    """A healthy world. `taken` are the phases that the gateway routes by; `calls` what was done, in order."""

    taken: dict[str, Phase] = field(default_factory=dict)
    down: str | None = None  # why the gateway doesn't answer
    refusal: str | None = None  # why the gateway refuses what is published
    unready: str | None = None  # why the service isn't ready
    copied: FakeRows = field(default_factory=FakeRows)
    seen: FakeEvidence | Sequence[FakeEvidence] = field(default_factory=FakeEvidence)
    calls: list[str] = field(default_factory=list)
    since: datetime.datetime | None = None  # the moment that evidence was last asked from

    def health(self, home: Home) -> Health:
        if self.unready and home.name == "catalog":
            return Health(home.name, False, self.unready)
        return Health(home.name, True, "/health/ready answers 200")

    def gateway(self, phases: Mapping[str, Phase]) -> GatewayView:
        if self.down:
            return GatewayView(None, revision(phases), detail=self.down)
        return GatewayView(revision(self.taken), revision(phases))

    def publish(self, phases: Mapping[str, Phase]) -> str:
        self.calls.append("publish " + " ".join(f"{name}={phase}" for name, phase in sorted(phases.items())))
        if self.refusal:
            raise StranglerError(self.refusal)
        self.taken = dict(phases)
        return revision(phases)

    def copy_rows(self, capability: Capability, progress: object) -> str:
        self.calls.append(f"copy {capability.name}")
        self.copied = FakeRows(True, True, "8,212 rows in 4 tables are equal on both sides.")
        return "8,212 rows written, 0 deleted in 0.4 s"

    def rows(self, capability: Capability) -> FakeRows:
        return self.copied

    def evidence(self, capability: Capability, since: datetime.datetime | None) -> FakeEvidence:
        self.since = since
        if isinstance(self.seen, FakeEvidence):
            return self.seen
        now, *later = self.seen  # one for each look, the last one for ever
        self.seen = later or now
        return now


class LastingSurroundings(FakeSurroundings):
    """The same in a file that outlives a killed process; `at_publish` is called once routes are taken."""

    def __init__(self, file: Path, at_publish: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._file, self._at_publish = file, at_publish
        if file.exists():
            kept = json.loads(file.read_text())
            self.taken = {name: Phase.parse(phase) for name, phase in kept["taken"].items()}
            self.copied = FakeRows(**kept["copied"])

    def publish(self, phases: Mapping[str, Phase]) -> str:
        taken = super().publish(phases)
        self._keep()
        self._at_publish()
        return taken

    def copy_rows(self, capability: Capability, progress: object) -> str:
        said = super().copy_rows(capability, progress)
        self._keep()
        return said

    def _keep(self) -> None:
        taken = {name: str(phase) for name, phase in self.taken.items()}
        self._file.write_text(json.dumps({"taken": taken, "copied": asdict(self.copied)}))


def revision(phases: Mapping[str, Phase]) -> str:
    """A revision that reads as what it routes; capabilities at monolith need no route."""
    moved = [f"{name}:{phase}" for name, phase in sorted(phases.items()) if phase != MONOLITH]
    return "+".join(moved) or "plain"
