"""What has been compared, summed up for whoever decides on it: the gates, the tour, a report.

A replay's evidence comes from its tally, the live comparator's from the control database.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from strangler import config
from strangler.compare import store
from strangler.compare.footing import Laid
from strangler.compare.latency import ALPHA, Slower, slower
from strangler.compare.observation import SETTLED, STALE
from strangler.compare.store import Hour
from strangler.compare.tally import FieldSample, Tally
from strangler.config import Capability
from strangler.run.system import System

NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class FieldEvidence:
    """One differing field of one route: in how many requests, and with which verdict.

    `verdict` is different, excused, ignored or settled; `reason` is the declared one where it is ignored.
    """

    route: str
    path: str
    kind: str
    verdict: str
    critical: bool
    requests: int
    reason: str = ""
    samples: tuple[FieldSample, ...] = ()

    def __str__(self) -> str:
        return f"{self.route} {self.path} ({self.kind}, {self.requests} times)"


@dataclass(frozen=True)
class RouteEvidence:
    """One route: requests by outcome, by reason where they weren't comparable, by kind of caller."""

    route: str
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    callers: Mapping[str, int]
    pairs: tuple[tuple[float, float], ...] = ()

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values())

    @property
    def comparable(self) -> int:
        return self.requests - self.outcomes.get(NOT_COMPARABLE, 0)


@dataclass(frozen=True)
class Evidence:
    """Everything seen of one capability since a moment (None: ever); counts of requests.

    `control` and `candidate` name its homes. `captured` counts what came in, `dropped` what nobody read in
    time, `shapes` the distinct questions among the comparable ones and `shapes_different` those among them
    that were answered differently. `routes` holds each route that was asked for, sorted; times are in
    milliseconds. `endpoints` is the number of declared routes, among which an error probability is shared.
    `laid` is what the evidence rests on, where it is the live comparator's.
    """

    capability: str
    control: str
    candidate: str
    since: datetime.datetime | None
    captured: int
    dropped: int
    shapes: int
    shapes_different: int
    routes: tuple[RouteEvidence, ...]
    fields: tuple[FieldEvidence, ...]
    endpoints: int = 1
    laid: Laid | None = None

    def count(self, outcome: str) -> int:
        return sum(route.outcomes.get(outcome, 0) for route in self.routes)

    @property
    def comparable(self) -> int:
        """Requests that were compared, whatever came of it."""
        return sum(route.comparable for route in self.routes)

    @property
    def same(self) -> int:
        return self.count("same")

    @property
    def different(self) -> int:
        """Requests with at least one difference that nothing excuses."""
        return self.count("different")

    @property
    def excused(self) -> int:
        """Requests that differ only where the control differed from itself."""
        return self.count("excused")

    @property
    def ignored(self) -> int:
        """Requests that differ only where strangler.toml declares it."""
        return self.count("ignored")

    @property
    def settled(self) -> int:
        """Requests that differed at first and not when both homes were asked once more."""
        return self.reasons.get(SETTLED, 0)

    @property
    def stale(self) -> int:
        """Requests that weren't comparable because the candidate lacked what the control had."""
        return self.reasons.get(STALE, 0)

    @property
    def reasons(self) -> Mapping[str, int]:
        """Requests that weren't comparable, by reason."""
        return dict(sum((Counter(route.reasons) for route in self.routes), Counter[str]()))

    @property
    def coverage(self) -> float | None:
        """The share of the captured requests that was compared; None where nothing was captured."""
        return min(1.0, self.comparable / self.captured) if self.captured else None

    @property
    def latencies(self) -> Mapping[str, tuple[float, ...]]:
        """Milliseconds by home. Both answered the same requests, asked by the same comparator."""
        pairs = [pair for route in self.routes for pair in route.pairs]
        return {self.control: tuple(one for one, _ in pairs), self.candidate: tuple(one for _, one in pairs)}

    @property
    def differing(self) -> tuple[str, ...]:
        """Unexcused differences by route and field, the most frequent first."""
        found = sorted(self.fields, key=lambda one: -one.requests)
        return tuple(str(one) for one in found if one.verdict == "different")

    @property
    def critical(self) -> tuple[str, ...]:
        """Unexcused differences in what the gate calls critical: one is enough to hold, or to go back."""
        return tuple(str(one) for one in self.fields if one.critical)

    def slower(self, slack: float) -> tuple[Slower, ...]:
        """The routes on which the candidate takes provably more than (1 + slack) times as long."""
        alpha = ALPHA / self.endpoints
        found = (slower(route.route, route.pairs, slack, alpha) for route in self.routes)
        return tuple(one for one in found if one)


def evidence(system: System, capability: str, *, since: datetime.datetime | None) -> Evidence:
    """What the live comparator has found out about a capability since a moment (None: whatever is kept)."""
    declared = config.load(Path(system.root)).capability(capability)
    with store.connect(system) as found:
        return of_rows(declared, since, found.read(capability, since))


def counting(system: System, capability: str, *, begun: datetime.datetime | None) -> Evidence:
    """What counts in a phase that has begun then: from its beginning, or since what it rests on changed."""
    declared = config.load(Path(system.root)).capability(capability)
    with store.connect(system) as found:
        laid = found.laid(capability)
        since = _counts_since(begun, laid) if begun else None
        return replace(of_rows(declared, since, found.read(capability, since)), laid=laid)


@dataclass(frozen=True)
class Watched:
    """What the guard looks at: counts by hour since `since`, and the critical fields that differ.

    `critical` names them by route and field, the most frequent first.
    """

    since: datetime.datetime
    hours: tuple[Hour, ...]
    critical: tuple[str, ...]


def watched(system: System, capability: str, *, begun: datetime.datetime) -> Watched:
    """The same evidence as `counting`, as far as the guard needs it again every second."""
    with store.connect(system) as found:
        since = _counts_since(begun, found.laid(capability))
        return Watched(
            since,
            tuple(found.hours(capability, since)),
            tuple(
                f"{route} {path} ({kind}, {n} times)"
                for route, path, kind, n in found.critical(capability, since)
            ),
        )


def _counts_since(begun: datetime.datetime, laid: Laid | None) -> datetime.datetime:
    return max(begun, laid.since) if laid else begun


def of_tally(tally: Tally) -> Evidence:
    """The evidence of a replay."""
    rows = store.Rows(
        captured=sum(tally.captured.values()),
        dropped=sum(tally.dropped.values()),
        shapes=len(tally.shapes),
        shapes_different=sum(bool(differed) for _, differed in tally.shapes.values()),
        outcomes=[(k.route, k.caller, k.outcome, k.reason, n) for k, n in tally.outcomes.items()],
        fields=[
            (k.route, k.path, k.kind, k.verdict, k.critical, k.reason, n) for k, n in tally.fields.items()
        ],
        samples=[(*key, sample) for key, samples in tally.samples.items() for sample in samples],
        pairs=tally.pairs,
    )
    return of_rows(tally.capability, None, rows)


def of_rows(capability: Capability, since: datetime.datetime | None, rows: store.Rows) -> Evidence:
    """Evidence from counted rows, which may count one thing in several rows."""
    routes = sorted({row[0] for row in rows.outcomes})
    outcomes, reasons, callers = ({route: Counter[str]() for route in routes} for _ in range(3))
    for route, caller, outcome, reason, requests in rows.outcomes:
        outcomes[route][outcome] += requests
        callers[route][caller] += requests
        if reason:
            reasons[route][reason] += requests
    times: dict[str, list[tuple[float, float]]] = {route: [] for route in routes}
    for pair in rows.pairs:
        times.setdefault(pair.route, []).append((pair.control, pair.candidate))

    counted: Counter[tuple[str, str, str, str, bool, str]] = Counter()
    for *key, requests in rows.fields:
        counted[tuple(key)] += requests  # type: ignore[index]
    samples: dict[tuple[str, str, str], list[FieldSample]] = {}
    for route, path, kind, sample in rows.samples:
        samples.setdefault((route, path, kind), []).append(sample)
    fields = [
        FieldEvidence(
            route,
            path,
            kind,
            verdict,
            critical,
            requests,
            reason,
            tuple(samples.get((route, path, kind), ())),
        )
        for (route, path, kind, verdict, critical, reason), requests in counted.items()
    ]
    verdicts = ("different", "settled", "excused", "ignored")
    return Evidence(
        capability=capability.name,
        control=capability.owner,
        candidate=capability.home,
        since=since,
        captured=rows.captured,
        dropped=rows.dropped,
        shapes=rows.shapes,
        shapes_different=rows.shapes_different,
        endpoints=max(1, len(capability.routes)),
        routes=tuple(
            RouteEvidence(r, dict(outcomes[r]), dict(reasons[r]), dict(callers[r]), tuple(times[r]))
            for r in routes
        ),
        fields=tuple(
            sorted(
                fields,
                key=lambda one: (
                    verdicts.index(one.verdict),
                    not one.critical,
                    one.route,
                    -one.requests,
                    one.path,
                ),
            )
        ),
    )
