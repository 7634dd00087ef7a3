"""What an advance is held to: pure functions from facts to verdicts, each a sentence with its evidence.

Unknown, missing or broken evidence holds. Which gates stand before which move is the table at the end.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from strangler.compare.footing import Footing, Laid
from strangler.compare.latency import lasting_bounds, samples_for_bounds
from strangler.config import Capability
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


class Evidence(Protocol):
    """What the live comparison has seen of a capability; counts of requests.

    It counts from `since`: when the phase began, or when what it rests on was `laid` anew.
    `shapes` counts the distinct requests among the compared ones: by route, path, query and kind of caller;
    `shapes_different` those among them that were ever answered differently.
    `coverage` is the share of captured requests that were compared, or None where nothing was captured;
    `stale` counts those that weren't because the service lacked what the monolith had.
    `latencies` has milliseconds by home, `differing` the unexcused differences by route and field, the most
    frequent first, `critical` those in fields declared critical, and `slower` the routes that take provably
    more than (1 + slack) times as long at the service.
    """

    @property
    def since(self) -> datetime.datetime | None: ...
    @property
    def laid(self) -> Laid | None: ...
    @property
    def captured(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def comparable(self) -> int: ...
    @property
    def different(self) -> int: ...
    @property
    def excused(self) -> int: ...
    @property
    def stale(self) -> int: ...
    @property
    def shapes(self) -> int: ...
    @property
    def shapes_different(self) -> int: ...
    @property
    def coverage(self) -> float | None: ...
    @property
    def differing(self) -> Sequence[str]: ...
    @property
    def critical(self) -> Sequence[str]: ...
    @property
    def latencies(self) -> Mapping[str, Sequence[float]]: ...
    def slower(self, slack: float) -> Sequence[object]: ...


@dataclass(frozen=True)
class Health:
    """What a home said when it was asked for /health/ready; `detail` is the status, or why there is none.

    `version` is the one that runs, "" where it wasn't told.
    """

    home: str
    ready: bool
    detail: str
    version: str = ""


@dataclass(frozen=True)
class GatewayView:
    """The revision that the gateway has taken, and the one that the recorded phases come to.

    `taken` is None where the gateway doesn't answer or is behind; `detail` is then a sentence that says so.
    """

    taken: str | None
    recorded: str
    rejected: int = 0
    detail: str = ""

    @property
    def agrees(self) -> bool:
        return self.taken == self.recorded


class Lag(Protocol):
    """Changes at the owner that aren't applied yet, and the age of the first one in seconds."""

    @property
    def rows(self) -> int: ...
    @property
    def seconds(self) -> float: ...


class Copying(Protocol):
    """How far the copy of one table has come."""

    @property
    def table(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def total(self) -> int: ...


class Round(Protocol):
    """A verification of all rows that ran to its end; the first that differ or never settle are `named`."""

    @property
    def equal(self) -> bool: ...
    @property
    def tables(self) -> Sequence[str]: ...
    @property
    def rows(self) -> int: ...
    @property
    def suspects(self) -> int: ...
    @property
    def differing(self) -> int: ...
    @property
    def unsettled(self) -> int: ...
    @property
    def named(self) -> Sequence[str]: ...
    @property
    def seconds(self) -> float: ...


class FollowState(Protocol):
    """How a capability's tables follow; None is what couldn't be learned.

    `follows`: every table is copied whole, each change applied as it comes, and nothing holds it. `word` is
    the age in seconds of the follower's last word, and it `lives` while that is young. `round` is the last
    verification since it follows, `age` the seconds since its end, `problem` why the latest one has no end.
    """

    @property
    def ordered(self) -> bool: ...
    @property
    def follows(self) -> bool: ...
    @property
    def lives(self) -> bool: ...
    @property
    def copying(self) -> Sequence[Copying]: ...
    @property
    def word(self) -> float | None: ...
    @property
    def held(self) -> str | None: ...
    @property
    def lag(self) -> Lag | None: ...
    @property
    def round(self) -> Round | None: ...
    @property
    def age(self) -> float | None: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def unknown(self) -> str | None: ...


class Ownership(Protocol):
    """Who owns a capability's rows, and what else writes them.

    `owner` is the home whose database takes writes, "" where that isn't settled. `settled`: one owns, the
    other follows, and no switch is under way. `sentence` is what both homes say. `foreign_keys` cross into
    the tables or out of them, `crossings` are statements of other contexts in the quiet time, `recorded_for`
    the seconds since these are recorded, `holders` transactions that a fence would wait for. `unknown` says
    why nothing could be learned.
    """

    @property
    def owner(self) -> str: ...
    @property
    def settled(self) -> bool: ...
    @property
    def epoch(self) -> int: ...
    @property
    def sentence(self) -> str: ...
    @property
    def foreign_keys(self) -> Sequence[str]: ...
    @property
    def crossings(self) -> Sequence[str]: ...
    @property
    def recorded_for(self) -> float | None: ...
    @property
    def holders(self) -> Sequence[str]: ...
    @property
    def unknown(self) -> str | None: ...


class ContractState(Protocol):
    """Whether the versions that run keep what their consumers need, and a sentence that says so."""

    @property
    def deployable(self) -> bool: ...
    @property
    def sentence(self) -> str: ...


@dataclass(frozen=True)
class Facts:
    """Everything that the gates look at, taken at one moment. None means that it couldn't be learned.

    `unfit` says why the tables can't follow. For writes: `ownership`, the seconds for which the phase has
    `stood`, capabilities with the same tables that are `behind`, and what still `references` the old ones.
    """

    health: Health
    gateway: GatewayView
    unfit: Sequence[str] | None = None
    following: FollowState | None = None
    evidence: Evidence | None = None
    ownership: Ownership | None = None
    stood: float | None = None
    behind: Sequence[str] | None = None
    references: Sequence[str] | None = None
    contracts: ContractState | None = None
    footing: Footing | None = None  # what evidence would rest on now


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


# ── The figures ──────────────────────────────────────────────────────────────────────────────────


def e_value(n: int, k: int, limit: float) -> float:
    """E of n comparable requests of which k differ: (p1/p0)^k * ((1-p1)/(1-p0))^(n-k), p1 = p0 / 10."""
    return math.exp(min(log_e(n, k, limit), 700))  # beyond that a float overflows, and the verdict is clear


def log_e(n: int, k: int, limit: float) -> float:
    """The logarithm of E."""
    return k * _log_mismatch() + (n - k) * _log_match(limit)


def samples_needed(k: int, limit: float, confidence: float) -> int:
    """The least n at which k differing ones still pass: 3,327 for 0.1 % at 95 %, and 2,558 more for each."""
    return k + math.ceil((-math.log(1 - confidence) - k * _log_mismatch()) / _log_match(limit))


def _log_mismatch() -> float:
    return -math.log(10)


def _log_match(limit: float) -> float:
    return math.log1p(-limit / 10) - math.log1p(-limit)


# ── Which gates stand before which move ──────────────────────────────────────────────────────────

_COMPARED = (service, gateway, contracts, follows, rows, footing, coverage, answers, critical, latency)

GATES: Mapping[tuple[str, str], tuple[Callable[[Capability, Facts], Gate], ...]] = {
    # That rows follow is an effect of the first move, which then verifies them.
    ("monolith", "shadow"): (service, gateway, tables),
    ("shadow", "canary"): _COMPARED,
    ("canary", "canary"): _COMPARED,
    ("canary", "switched"): _COMPARED,
}
