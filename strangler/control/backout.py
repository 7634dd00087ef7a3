"""When a capability goes back by itself: pure functions from what was watched to verdicts, with evidence.

The mirror of the gates. A gate lets pass on evidence that all is well, and a watch goes back on evidence that
it isn't: between the two nothing moves. Missing data is evidence of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from strangler.compare.evidence import Watched
from strangler.config import Capability
from strangler.control.e_process import log_e
from strangler.control.facts import FollowState
from strangler.control.gates import Gate, figure, verified


@dataclass(frozen=True)
class Watch:
    """What the guard looks at: evidence, and how the rows follow; None where none have to."""

    seen: Watched
    following: FollowState | None = None


# ── The watches; each is a gate that "holds" where the capability has to go back ─────────────────


def critical(capability: Capability, watch: Watch) -> Gate:
    """One unexcused difference in a critical field is enough."""
    if found := watch.seen.critical:
        more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
        return Gate("critical", False, f"A critical field differs: {found[0]}{more}.")
    return Gate("critical", True, "")


def rows(capability: Capability, watch: Watch) -> Gate:
    """One row that was confirmed to differ is enough; one that never settles confirms nothing."""
    seen = watch.following
    if seen and seen.round and seen.age is not None and seen.round.differing:
        return Gate("rows", False, verified(seen.round, seen.age))
    return Gate("rows", True, "")


def answers(capability: Capability, watch: Watch) -> Gate:
    """Evidence that answers differ more often than is good, in favour of the limit: the mirrored process."""
    gate, hours = capability.gate, watch.seen.hours
    counts = [(one.number, one.comparable, one.different) for one in hours]
    n, k = sum(one.comparable for one in hours), sum(one.different for one in hours)
    return _mirrored("answers", f"{n:,} compared, {k:,} differ", counts, gate.mismatch_limit, gate.confidence)


def failures(capability: Capability, watch: Watch) -> Gate:
    """The same of the answers that clients got from the service, and its failures among them."""
    gate, hours = capability.gate, watch.seen.hours
    counts = [(one.number, one.answered, one.failed) for one in hours]
    n, k = sum(one.answered for one in hours), sum(one.failed for one in hours)
    said = f"{n:,} answered by {capability.home}, {k:,} failed"
    return _mirrored("failures", said, counts, gate.failure_limit, gate.confidence)


WATCHES: tuple[Callable[[Capability, Watch], Gate], ...] = (critical, rows, answers, failures)


def judge(capability: Capability, watch: Watch) -> tuple[Gate, ...]:
    """Every watch, in the table's order; one that doesn't pass is a reason to go back."""
    return tuple(one(capability, watch) for one in WATCHES)


# ── The figures ──────────────────────────────────────────────────────────────────────────────────


def _mirrored(
    name: str, said: str, counts: Iterable[tuple[int, int, int]], limit: float, confidence: float
) -> Gate:
    if not 0 < limit < 1 or not 0 < confidence < 1:
        return Gate(name, True, f"{said}; no evidence can speak for a limit of {limit:g}.")
    e, threshold = mirrored(counts, limit), 1 / (1 - confidence)
    sentence = f"{said}, E' = {figure(e)} of {threshold:,.4g}"
    if e < threshold:
        return Gate(name, True, f"{sentence}.")
    return Gate(
        name,
        False,
        f"{sentence}: with {confidence * 100:.4g} % confidence more than {limit * 10:.4g} %, which speaks "
        f"for the limit, {limit * 100:.4g} %.",
    )


def mirrored(counts: Iterable[tuple[int, int, int]], limit: float) -> float:
    """E' of (hour, n, k): the evidence against a rate of at most p1 = limit / 10, in favour of p0 = limit.

    The likelihood ratio of the gate, turned round: (p0/p1)^k * ((1-p0)/(1-p1))^(n-k). Counted from the
    beginning alone it would grow deaf: after a million equal answers it would take thousands that differ. So
    a bet is begun anew with each hour, the one of the j-th hour with 1 / (j (j + 1)) of the stake, which adds
    up to the whole: E' is the sum of what they have won. A mixture of e-processes is one, so the chance that
    a service at p1 or better is ever taken back, however long it is watched, stays under 1 - confidence.

    Sources: Ville's inequality; Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for
    sequential change detection", New England Journal of Statistics in Data Science, 2023.
    """
    won, suffix = 0.0, 0.0
    for hour, n, k in sorted(counts, reverse=True):
        suffix -= log_e(n, k, limit)  # what the bet that began with this hour has won since
        won += math.exp(min(suffix, 700)) / (hour * (hour + 1))
    return won
