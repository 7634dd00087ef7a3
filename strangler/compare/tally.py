"""Observations add up here: what a replay shows in the end, what the live comparator stores in batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from strangler.compare import redaction
from strangler.compare.observation import SAMPLES_PER_DIFFERENCE, Difference, Observation
from strangler.compare.shape import fingerprint
from strangler.config import Capability

PAIRS_KEPT = 20_000  # while the database is away


@dataclass(frozen=True, slots=True, order=True)
class OutcomeKey:
    """What requests are counted by; `second` since the epoch, `status` the control's."""

    second: int
    route: str
    caller: str
    status: int
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class FieldKey:
    """What differing fields are counted by, once per request; `reason` is that of a declared ignore."""

    second: int
    route: str
    path: str
    kind: str
    verdict: str
    critical: bool
    reason: str


@dataclass(frozen=True, slots=True)
class FieldSample:
    """Both sides of one difference, redacted, and the request that showed it."""

    at: float
    request: str
    caller: str
    control: str | None
    candidate: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """How long both homes took for one request, in milliseconds."""

    route: str
    at: float
    control: float
    candidate: float


@dataclass
class Tally:
    """The sums for one capability. `shapes` maps a fingerprint to (last seen, last seen different or 0).

    `captured` and `dropped` count what came in, by second; `answered` and `failed` what clients got from the
    candidate itself, and how much of that was a 5xx.
    """

    capability: Capability
    captured: Counter[int] = field(default_factory=Counter)
    dropped: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[OutcomeKey] = field(default_factory=Counter)
    fields: Counter[FieldKey] = field(default_factory=Counter)
    samples: dict[tuple[str, str, str], list[FieldSample]] = field(default_factory=dict)
    shapes: dict[str, tuple[float, float]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)

    def take(self, at: float, home: str, status: int, *, dropped: bool = False) -> None:
        """Count a captured request and the answer that its client got from `home`."""
        second, ours = int(at), home == self.capability.home
        self.captured[second] += 1
        self.dropped[second] += dropped
        self.answered[second] += ours
        self.failed[second] += ours and status >= 500

    def add(self, one: Observation) -> None:
        """Count an observation; its samples are redacted here, before anything can store them."""
        second, caller = int(one.at), one.request.caller.kind
        key = OutcomeKey(second, one.route, caller, one.control_status, one.outcome, one.reason)
        self.outcomes[key] += 1
        if one.times is not None:
            self.pairs.append(Pair(one.route, one.at, *one.times))
        if one.outcome != "not comparable":
            shape = fingerprint(one.route, one.request)
            _, differed = self.shapes.get(shape, (0.0, 0.0))
            self.shapes[shape] = (one.at, one.at if one.outcome == "different" else differed)
        for judged in one.judged:
            found = redaction.difference(judged.difference)
            critical = judged.verdict == "different" and self.is_critical(judged.difference)
            reason = judged.reason if judged.verdict == "ignored" else ""
            self.fields[
                FieldKey(second, one.route, found.path, found.kind, judged.verdict, critical, reason)
            ] += 1
            kept = self.samples.setdefault((one.route, found.path, found.kind), [])
            if len(kept) < SAMPLES_PER_DIFFERENCE and found.samples:
                sample = found.samples[0]
                asked = f"{one.request.method} {redaction.target(one.request.target)}"
                kept.append(FieldSample(one.at, asked, caller, sample.control, sample.candidate))

    def is_critical(self, difference: Difference) -> bool:
        """Money, permissions: the fields that the gate names, and what the control refuses to give out."""
        return difference.opens or difference.path in self.capability.gate.critical

    def __bool__(self) -> bool:
        return bool(self.captured or self.dropped or self.outcomes)

    def merge(self, other: Tally) -> None:
        """Add another tally's sums to these."""
        for mine, theirs in (
            (self.captured, other.captured),
            (self.dropped, other.dropped),
            (self.answered, other.answered),
            (self.failed, other.failed),
            (self.outcomes, other.outcomes),
            (self.fields, other.fields),
        ):
            mine.update(theirs)  # type: ignore[arg-type]
        for key, samples in other.samples.items():
            self.samples[key] = [*samples, *self.samples.get(key, [])][:SAMPLES_PER_DIFFERENCE]
        for shape, (seen, differed) in other.shapes.items():
            mine_seen, mine_differed = self.shapes.get(shape, (0.0, 0.0))
            self.shapes[shape] = (max(seen, mine_seen), max(differed, mine_differed))
        self.pairs = [*other.pairs, *self.pairs][-PAIRS_KEPT:]
