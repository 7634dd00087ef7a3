"""What an advance is held to: pure functions from facts to verdicts, each a sentence with its evidence.

Unknown, missing or broken evidence holds. Which gates stand before which move is the table at the end.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strangler.compare.latency import lasting_bounds, samples_for_bounds
from strangler.config import Capability
from strangler.control.e_process import e_value, samples_needed
from strangler.control.facts import Evidence, Facts, FollowState, Lag, Ownership, Round
from strangler.control.phases import Phase

if TYPE_CHECKING:
    from strangler.control.store import Transition

MINIMUM_COVERAGE = 0.90  # the share of captured requests that must have been compared
TRAFFIC_HINT = "Let more traffic through."


@dataclass(frozen=True)
class Gate:
    """A verdict: whether the gate lets pass, and the sentence that says on what evidence."""

    name: str
    passed: bool
    sentence: str


# ── The gates ────────────────────────────────────────────────────────────────────────────────────


def service(capability: Capability, facts: Facts) -> Gate:
    """The home that the capability moves to says that it is ready."""
    if facts.health.ready:
        return Gate("service", True, f"{facts.health.home} is ready ({facts.health.detail}).")
    return Gate(
        "service", False, f"{facts.health.home} isn't ready: {facts.health.detail}. See `strangler ps`."
    )


def gateway(capability: Capability, facts: Facts) -> Gate:
    """The gateway answers, and routes as recorded."""
    seen = facts.gateway
    if seen.taken is None:
        return Gate("gateway", False, seen.detail)
    if not seen.agrees:
        return Gate(
            "gateway",
            False,
            f"The gateway has taken revision {seen.taken}, but the recorded phases come to {seen.recorded}. "
            "`strangler status` says what to do about it.",
        )
    return Gate("gateway", True, f"The gateway has taken revision {seen.taken}, as recorded.")


def contracts(capability: Capability, facts: Facts) -> Gate:
    """The versions that run, at both homes, have passed every deployed consumer's pact."""
    if not capability.gate.contracts:
        return Gate("contracts", True, f"strangler.toml says that {capability.name} needs none.")
    if facts.contracts is None:
        return Gate("contracts", False, "Nothing is known of what consumers need.")
    return Gate("contracts", facts.contracts.deployable, facts.contracts.sentence)


def tables(capability: Capability, facts: Facts) -> Gate:
    """The capability's tables can follow as they are: keys, columns, triggers, foreign keys."""
    if facts.unfit is None:
        return Gate("tables", False, "Nothing is known about the tables.")
    if facts.unfit:
        return Gate("tables", False, " ".join(facts.unfit))
    if not capability.tables:
        return Gate("tables", True, f"{capability.name} declares no tables, so none has to follow.")
    same = f"{len(capability.tables)} tables have the same columns and keys at {capability.owner} and"
    return Gate("tables", True, f"{same} {capability.home}.")


def follows(capability: Capability, facts: Facts) -> Gate:
    """The rows at the other home are the owner's, a few moments old at most, and somebody sees to that."""
    if not capability.tables:
        return Gate("follows", True, f"{capability.name} declares no tables, so nothing has to follow.")
    limit, seen = capability.gate.lag_limit, facts.following
    follower, followed = roles(capability, facts.ownership)
    reason = seen is None or why_not_following(capability, seen, follower, followed)
    if seen is None or reason:
        return Gate(
            "follows", False, reason if isinstance(reason, str) else "Nothing is known of what follows."
        )
    if seen.lag is None:
        return Gate("follows", False, "How far the follower is behind can't be read.")
    return Gate(
        "follows",
        seen.lag.seconds <= limit,
        f"{follower} is {behind(seen.lag)} behind, {limit:g} s allowed.",
    )


def roles(capability: Capability, ownership: Ownership | None) -> tuple[str, str]:
    """The home that follows, and the one that is followed: the first owner, until the rows have moved."""
    if ownership and ownership.owner == capability.home:
        return capability.owner, capability.home
    return capability.home, capability.owner


def why_not_following(capability: Capability, seen: FollowState, follower: str, followed: str) -> str | None:
    """The sentence that says why the tables don't follow, or nobody sees to it; None: they do."""
    name = capability.name
    if seen.unknown:
        return seen.unknown
    if not seen.ordered:
        back, again = ("cancel", "replicate") if capability.kind == "write" else ("reverse", "shadow")
        return (
            f"{follower} doesn't follow {followed}: `strangler {back} {name}`, then "
            f"`strangler apply {name} {again}`, has it follow."
        )
    if not seen.lives:
        said = "has never said a word" if seen.word is None else f"said its last word {seen.word:,.0f} s ago"
        return f"The follower {said}; see `strangler ps` and `strangler logs follower`."
    if seen.held:
        return f"The follower holds: {seen.held}"
    if not seen.follows:
        copied = [f"{one.table} {one.rows:,} of {one.total:,}" for one in seen.copying]
        return f"Rows are still being copied: {', '.join(copied) or 'the copy begins'}."
    return None


def behind(lag: Lag) -> str:
    """A lag as people say it."""
    changes = "1 change" if lag.rows == 1 else f"{lag.rows:,} changes"
    return f"{changes} and {lag.seconds:.1f} s"


def rows(capability: Capability, facts: Facts) -> Gate:
    """The last verification of every row is recent, found none that differs and left none open."""
    if not capability.tables:
        return Gate("rows", True, f"{capability.name} declares no tables, so there is nothing to compare.")
    limit, seen = capability.gate.verified_within, facts.following
    if seen is None or seen.unknown:
        return Gate(
            "rows", False, seen.unknown if seen and seen.unknown else "Nothing is known about the rows."
        )
    stopped = f" The last attempt stopped: {seen.problem}" if seen.problem else ""
    found = seen.round
    if found is None or seen.age is None or not set(capability.tables) <= set(found.tables):
        return Gate("rows", False, f"No verification has ended since {capability.home} follows.{stopped}")
    if not found.equal:
        return Gate(
            "rows", False, f"{verified(found, seen.age)} `strangler verify {capability.name} --repair`."
        )
    if seen.age > limit:
        return Gate(
            "rows", False, f"{verified(found, seen.age)} That is too old, {limit:g} s are allowed.{stopped}"
        )
    return Gate("rows", True, verified(found, seen.age))


def verified(found: Round, age: float) -> str:
    """What a verification found, and when; names the first row that isn't equal."""
    when = f"verified {age:,.0f} s ago in {found.seconds:.1f} s"
    if found.equal:
        return f"{found.rows:,} rows in {len(found.tables)} tables are equal, {when}."
    open_ = f", {found.unsettled:,} never settled" if found.unsettled else ""
    first = f" {found.named[0]}." if found.named else ""
    return f"Of {found.rows:,} rows {found.differing:,} differ{open_}, {when}.{first}"


def footing(capability: Capability, facts: Facts) -> Gate:
    """What was compared is what runs now, judged by the rules that are declared now."""
    seen, now = facts.evidence, facts.footing
    if seen is None or now is None or seen.laid is None:
        return Gate(
            "footing",
            False,
            "The comparator hasn't written down what it compares. See `strangler ps`, and `strangler logs "
            "comparator`.",
        )
    if untold := [home for home, version in now.versions.items() if not version]:
        return Gate(
            "footing",
            False,
            f"{' and '.join(untold)} tells no version with /health/ready: a deployment would go unnoticed.",
        )
    if change := seen.laid.footing.change_to(now):
        return Gate(
            "footing",
            False,
            f"What was compared no longer counts, since {change}. Evidence begins anew in a moment.",
        )
    runs = " and ".join(f"{home} at version {version}" for home, version in now.versions.items())
    return Gate("footing", True, f"What was compared is what runs: {runs}.")


def counted_from(seen: Evidence) -> str:
    """From when on evidence counts, and why from then."""
    if seen.since is None:
        return "counts from the beginning"
    reason = seen.laid.reason if seen.laid and seen.laid.since >= seen.since else "the phase began"
    return f"counts from {seen.since.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC, when {reason}"


def answers(capability: Capability, facts: Facts) -> Gate:
    """The share of unexcused differences lies below the limit, with the confidence that was asked for.

    Wald's likelihood ratio as an e-process: valid at every look (Ville's inequality), so it may be asked as
    often as one likes. Requests that are answered alike count once for each distinct one, so that a thousand
    equal requests are not a thousand samples; a difference counts every time.
    """
    limit, confidence = capability.gate.mismatch_limit, capability.gate.confidence
    if not 0 < limit < 1 or not 0 < confidence < 1:
        return _no_confidence("answers", capability)
    seen = facts.evidence
    if seen is None or seen.comparable == 0:
        return Gate("answers", False, f"No answers have been compared in this phase. {TRAFFIC_HINT}")
    k = seen.different
    n = k + seen.shapes - seen.shapes_different
    needed = samples_needed(k, limit, confidence)
    threshold = 1 / (1 - confidence)
    e = e_value(n, k, limit)
    verdict = (
        f"{n:,} samples, {k:,} differ; E = {figure(e)} of {threshold:,.4g}, to show at "
        f"most {limit * 100:.4g} % differing with {confidence * 100:.4g} % confidence"
    )
    if e >= threshold:
        return Gate("answers", True, f"{verdict}.")
    sentence = f"{verdict}. {needed:,} are needed if no other differs: {needed - n:,} to go."
    if seen.differing:
        sentence += f" Most often differs {seen.differing[0]}."
    return Gate("answers", False, sentence)


def coverage(capability: Capability, facts: Facts) -> Gate:
    """Enough of what was captured has also been compared."""
    seen = facts.evidence
    if seen is None or seen.captured == 0 or seen.coverage is None:
        return Gate("coverage", False, f"No requests have been captured in this phase. {TRAFFIC_HINT}")
    passed = seen.coverage >= MINIMUM_COVERAGE
    sentence = (
        f"{seen.captured:,} captured, {seen.comparable:,} compared, {seen.dropped:,} dropped: "
        f"{percent(seen.coverage)} covered"
    )
    if seen.stale:
        sentence = sentence.replace(" dropped:", f" dropped, {seen.stale:,} stale:")
    if passed:
        return Gate("coverage", True, f"{sentence}, {percent(MINIMUM_COVERAGE)} needed.")
    hint = "Lower [compare] sample, or raise its queue."
    if seen.stale > seen.dropped:
        hint = f"The rows of {capability.home} were behind; they must follow before answers say anything."
    return Gate("coverage", False, f"{sentence}, {percent(MINIMUM_COVERAGE)} needed. {hint}")


def critical(capability: Capability, facts: Facts) -> Gate:
    """Not one unexcused difference in a field that was declared critical."""
    seen = facts.evidence
    if seen is None or seen.comparable == 0:
        return Gate("critical", False, f"No answers have been compared in this phase. {TRAFFIC_HINT}")
    if seen.critical:
        first, others = seen.critical[0], len(seen.critical) - 1
        more = f", and {others:,} more" if others else ""
        return Gate(
            "critical",
            False,
            f"A critical field differs: {first}{more}. Correct {capability.home}, then begin the phase "
            f"again: `strangler reverse {capability.name}`.",
        )
    fields = ", ".join(capability.gate.critical) or "no field is declared critical"
    return Gate("critical", True, f"No critical field differs ({fields}).")


def latency(capability: Capability, facts: Facts) -> Gate:
    """The service's p95 is at most (1 + slack) times the monolith's, by bounds that hold with the confidence.

    Two bounds share the error probability, and both are valid at every look (`lasting_bounds`). They are
    order statistics, which assume nothing about the distribution. A single route that is provably slower
    holds too, however few ask for it; m routes share the probability of saying so wrongly. That is tested
    anew at every look, which can only make it hold too often.
    """
    slack, confidence = capability.gate.latency_slack, capability.gate.confidence
    seen = facts.evidence
    samples = seen.latencies if seen else {}
    theirs, ours = samples.get(capability.owner, ()), samples.get(capability.home, ())
    alpha = (1 - confidence) / 2
    if not 0 < alpha < 1:
        return _no_confidence("latency", capability)
    upper, lower = lasting_bounds(ours, alpha)[1], lasting_bounds(theirs, alpha)[0]
    if seen is None or not theirs or math.isinf(upper):
        least = samples_for_bounds(alpha)
        return Gate(
            "latency",
            False,
            f"Too few samples to bound the p95: {len(ours):,} of {capability.home} ({least} needed), "
            f"{len(theirs):,} of {capability.owner}. {TRAFFIC_HINT}",
        )
    if worse := seen.slower(slack):
        return Gate("latency", False, f"{worse[0]}. Correct {capability.home}, then begin the phase again.")
    limit = (1 + slack) * lower
    sentence = (
        f"p95 of {capability.home} is at most {upper:.1f} ms, and {1 + slack:g} times that of "
        f"{capability.owner} at least {limit:.1f} ms (n = {len(ours):,} and {len(theirs):,}; together with "
        f"{confidence * 100:.4g} % confidence, at every look)"
    )
    return Gate("latency", upper <= limit, f"{sentence}.")


def _no_confidence(name: str, capability: Capability) -> Gate:
    gate = capability.gate
    return Gate(
        name,
        False,
        f"No evidence can show a limit of {gate.mismatch_limit:g} with a confidence of {gate.confidence:g}: "
        f"both must lie between 0 and 1. Correct [capabilities.{capability.name!r}.gate] in strangler.toml.",
    )


def reverse(capability: Capability, taken_back: Transition, step: Phase) -> Gate:
    """After a way back nothing goes forward again because strangler.toml wants it: a person names a phase."""
    why = f" {taken_back.because}" if taken_back.because else ""
    return Gate(
        "reverse",
        False,
        f"{taken_back.by} took it back to {taken_back.target} at {taken_back.started:%Y-%m-%d %H:%M:%S} UTC."
        f"{why} It stays there until somebody names a phase: `strangler apply {capability.name} {step}`.",
    )


def percent(share: float) -> str:
    # Rounded down, so that 89.96 % never reads as the 90 % that it isn't.
    return f"{math.floor(share * 1000) / 10:.1f} %"


def figure(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{min(number, 1e9):,.0f}"


# ── Which gates stand before which move ──────────────────────────────────────────────────────────

_COMPARED = (service, gateway, contracts, follows, rows, footing, coverage, answers, critical, latency)

GATES: Mapping[tuple[str, str], tuple[Callable[[Capability, Facts], Gate], ...]] = {
    # That rows follow is an effect of the first move, which then verifies them.
    ("monolith", "shadow"): (service, gateway, tables),
    ("shadow", "canary"): _COMPARED,
    ("canary", "canary"): _COMPARED,
    ("canary", "switched"): _COMPARED,
}
