"""Changes of phase under load: how many requests fail, and how long a change takes to reach every client."""

from __future__ import annotations

import time
from dataclasses import dataclass

from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.errors import StranglerError
from strangler.run.answers import percentile
from tests.benchmarks.probe import Probe, Stage, stage, traffic
from tests.benchmarks.table import Row

TITLE = "Changes of phase under load"
SENTENCE = (
    "Up to 300 changes in 120 s, round and round through shadow, canary, switched and back to the monolith, "
    "on the whole running system under the load of `strangler.toml`. Time counts from the order to route "
    "otherwise (a snapshot is rendered, validated with a static twin, put in place and acknowledged) to the "
    "first answer of the right home and to the last one of the wrong one, as seen by a tester's client that "
    "asks all the time; every second change moves it."
)
CHANGES = 300
CYCLE = (SHADOW, Phase("canary", 10), SWITCHED, MONOLITH)
LIMIT = 120.0  # seconds; on a machine that is busy with something else there are fewer changes then
QUIET = 0.1  # seconds watched after a change for an answer of the wrong home
PATIENCE = 10.0  # seconds until a change must have taken effect


@dataclass(frozen=True)
class Effect:
    """One change, in milliseconds after the order: first right answer, last wrong one, publish() returned."""

    first: float
    last: float
    returned: float


def run() -> list[Row]:
    effects: list[Effect] = []
    with stage() as on:
        on.route(MONOLITH)
        with traffic(on) as load, on.probe() as probe:
            time.sleep(1)
            changes, end = 0, time.monotonic() + LIMIT
            while changes < CHANGES and time.monotonic() < end:
                effects += _change(on, probe, CYCLE[changes % len(CYCLE) - 1], CYCLE[changes % len(CYCLE)])
                changes += 1
            load.check()
        counted = load.generator.total
    failed = counted.failed + sum(not answer.good for answer in probe.answers)
    requests = counted.requests + len(probe.answers)
    note = "; ".join(
        f"{one.kind} {one.status} at {one.path} from {one.home}: {one.said[:60]}"
        for one in counted.failures[:2]
    )
    what = f"failed of {requests:,} requests, over {changes} changes"
    found = [Row(what, failed, "requests", note=note or "goal: 0")]
    for what, values in (
        ("first answer of the right home", [one.first for one in effects]),
        ("last answer of the wrong home", [one.last for one in effects]),
        ("the order returns", [one.returned for one in effects]),
    ):
        found += [
            Row(f"{what}, p{share}", percentile(values, share / 100), "ms", note=f"{len(values)} changes")
            for share in (50, 99)
        ]
    return found


def _change(on: Stage, probe: Probe, before: Phase, phase: Phase) -> list[Effect]:
    """Route by the next phase; its effect, if it moves a tester from one home to the other."""
    wrong, right = (
        on.capability.owner if one in (MONOLITH, SHADOW) else on.capability.home for one in (before, phase)
    )
    start = time.perf_counter()
    on.route(phase)
    returned = time.perf_counter()
    while not any(answer.home == right for answer in probe.since(start)):
        if time.perf_counter() - start > PATIENCE:
            raise StranglerError(f"{phase} had no effect in {PATIENCE:g} s: {wrong} goes on answering.")
        time.sleep(0.002)
    time.sleep(QUIET)
    if wrong == right:
        return []
    answers = probe.since(start)
    first = min(answer.came for answer in answers if answer.home == right)
    last = max((answer.came for answer in answers if answer.home == wrong), default=start)
    return [Effect(*((moment - start) * 1000 for moment in (first, last, returned)))]
