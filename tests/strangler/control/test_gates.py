"""Every gate at its boundary, and the figures that they rest on."""

import datetime
import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.compare.footing import Footing
from strangler.config import Capability
from strangler.control import e_process, gates
from strangler.control.facts import Facts, GatewayView, Health
from strangler.control.gates import Gate
from strangler.control.judging import judge
from strangler.control.phases import MONOLITH, SHADOW, SWITCHED, Phase
from strangler.movement.backfill import Progress
from strangler.movement.windows import Lag
from tests.fakes.control_surroundings import (
    NO_EVIDENCE,
    NOON,
    NOT_ORDERED,
    RULES,
    VERSIONS,
    FakeContracts,
    FakeEvidence,
    FakeFollowing,
    FakeRound,
)
from tests.strangler.control.wanted import only_catalog_read

LIMIT, CONFIDENCE = 0.01, 0.95


@pytest.fixture
def capability(tmp_path: Path) -> Capability:
    return only_catalog_read(tmp_path).capability("catalog.read")


def facts(evidence: FakeEvidence | None = None, **others: object) -> Facts:
    good = Facts(
        health=Health("catalog", True, "/health/ready answers 200"),
        gateway=GatewayView("r2", "r2"),
        unfit=(),
        following=FakeFollowing(),
        evidence=evidence,
        contracts=FakeContracts(),
        footing=Footing(VERSIONS, RULES),
    )
    return replace(good, **others)  # type: ignore[arg-type]


def equal_answers(shapes: int, different: int = 0) -> FakeEvidence:
    return FakeEvidence(comparable=shapes, shapes=shapes, different=different, shapes_different=different)


# ── The e-process ────────────────────────────────────────────────────────────────────────────────


def test_a_limit_of_one_in_a_thousand_needs_3327_answers_and_2558_more_for_each_difference() -> None:
    needed = [e_process.samples_needed(k, 0.001, 0.95) for k in range(4)]
    assert needed[0] == 3327
    assert [later - earlier for earlier, later in itertools.pairwise(needed)] == [2558] * 3


@pytest.mark.parametrize("different", range(6))
@pytest.mark.parametrize("limit", [0.001, 0.01, 0.05])
def test_one_answer_fewer_than_needed_is_not_enough(different: int, limit: float) -> None:
    needed = e_process.samples_needed(different, limit, 0.95)
    assert e_process.e_value(needed, different, limit) >= 20
    assert e_process.e_value(needed - 1, different, limit) < 20


def test_the_e_value_is_the_likelihood_ratio() -> None:
    n, k, p0 = 50, 2, 0.05
    p1 = p0 / 10
    ratio = (p1**k * (1 - p1) ** (n - k)) / (p0**k * (1 - p0) ** (n - k))
    assert e_process.e_value(n, k, p0) == pytest.approx(ratio)


def test_looking_after_every_answer_promotes_wrongly_less_than_5_percent_of_the_time() -> None:
    """A service that differs exactly as often as the limit must not get through, however often one looks."""
    wrong = chance_of_promotion([e_process.samples_needed(k, LIMIT, CONFIDENCE) for k in range(60)])
    assert 0.04 < wrong < 0.05


def test_looking_again_and_again_at_a_plain_bound_would_promote_wrongly() -> None:
    """Why the gate isn't a confidence bound: the same reckoning, with the bound that is written first."""
    assert chance_of_promotion(plain_bounds(20)) > 0.15


def chance_of_promotion(thresholds: list[int], looks: int = 5000) -> float:
    """The chance that, k differences into it, the answers ever reach thresholds[k]; differing at the limit.

    Reckoned exactly, answer by answer: `still[k]` is the chance of k differences and no promotion so far.
    """
    still, promoted = [1.0] + [0.0] * (len(thresholds) - 1), 0.0
    for answers in range(1, looks + 1):
        still = [
            alike * (1 - LIMIT) + one_less * LIMIT
            for alike, one_less in zip(still, [0.0, *still[:-1]], strict=True)
        ]
        for k, threshold in enumerate(thresholds):
            if threshold > answers:
                break
            promoted, still[k] = promoted + still[k], 0.0
    return promoted


def plain_bounds(differences: int) -> list[int]:
    """For each k, the least n at which k of n have a 95 % upper bound at the limit (Clopper and Pearson)."""
    bounds, n = [], 1
    for k in range(differences):
        while sum(math.comb(n, i) * LIMIT**i * (1 - LIMIT) ** (n - i) for i in range(k + 1)) > 1 - CONFIDENCE:
            n += 5
        bounds.append(n)
    return bounds


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────


def test_enough_equal_answers_pass(capability: Capability) -> None:
    needed = e_process.samples_needed(0, LIMIT, CONFIDENCE)
    assert gates.answers(capability, facts(equal_answers(needed))).passed
    assert not gates.answers(capability, facts(equal_answers(needed - 1))).passed


def test_the_sentence_says_what_was_counted_and_what_is_missing(capability: Capability) -> None:
    gate = gates.answers(capability, facts(equal_answers(300, different=1)))
    needed = e_process.samples_needed(1, LIMIT, CONFIDENCE)
    assert gate.sentence == (
        "300 samples, 1 differ; E = 1.5 of 20, to show at most 1 % differing with 95 % confidence. "
        f"{needed} are needed if no other differs: {needed - 300} to go."
    )


def test_the_sentence_names_what_differs_most_often(capability: Capability) -> None:
    found = ("GET /rugs/<int:pk>/ $.weight (missing, 9 times)", "GET /rugs/ $.count (value, 1 times)")
    gate = gates.answers(capability, facts(FakeEvidence(different=9, shapes_different=9, differing=found)))
    assert not gate.passed
    assert gate.sentence.endswith("Most often differs GET /rugs/<int:pk>/ $.weight (missing, 9 times).")


def test_a_thousand_equal_requests_are_one_sample(capability: Capability) -> None:
    seen = FakeEvidence(comparable=1000, captured=1000, shapes=1)
    gate = gates.answers(capability, facts(seen))
    assert not gate.passed
    assert gate.sentence.startswith("1 samples")


def test_a_request_that_differs_a_hundred_times_counts_a_hundred_times(capability: Capability) -> None:
    seen = FakeEvidence(comparable=1000, shapes=901, different=100, shapes_different=1)
    gate = gates.answers(capability, facts(seen))
    assert not gate.passed
    assert gate.sentence.startswith("1,000 samples, 100 differ")


@pytest.mark.parametrize(("limit", "confidence"), [(0, 0.95), (1, 0.95), (0.01, 0), (0.01, 1)])
def test_a_limit_that_nothing_can_show_holds(capability: Capability, limit: float, confidence: float) -> None:
    numbers = replace(capability.gate, mismatch_limit=limit, confidence=confidence)
    gate = gates.answers(replace(capability, gate=numbers), facts(equal_answers(10**6)))
    assert not gate.passed
    assert "both must lie between 0 and 1" in gate.sentence


# ── The other gates ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("covered", "passes"), [(0.9, True), (0.8999, False)])
def test_ninety_percent_of_what_was_captured_must_be_compared(
    capability: Capability, covered: float, passes: bool
) -> None:
    gate = gates.coverage(capability, facts(FakeEvidence(coverage=covered)))
    assert gate.passed is passes
    assert passes or "89.9 % covered" in gate.sentence


def test_a_service_that_is_behind_for_ever_holds_and_is_named(capability: Capability) -> None:
    seen = FakeEvidence(captured=400, comparable=90, stale=310, coverage=0.225)
    gate = gates.coverage(capability, facts(seen))
    assert not gate.passed
    assert "310 stale: 22.5 % covered" in gate.sentence
    assert gate.sentence.endswith(
        "The rows of catalog were behind; they must follow before answers say anything."
    )


def test_one_critical_difference_holds(capability: Capability) -> None:
    gate = gates.critical(
        capability, facts(FakeEvidence(critical=("GET /rugs/<int:pk>/ $.price (value, 1 times)",)))
    )
    assert not gate.passed
    assert "$.price" in gate.sentence


def test_79_samples_can_not_bound_a_p95_and_80_can(capability: Capability) -> None:
    def gate(samples: int) -> Gate:
        times = {"monolith": [10.0] * 400, "catalog": [10.0] * samples}
        return gates.latency(capability, facts(FakeEvidence(latencies=times)))

    assert not gate(79).passed
    assert "79 of catalog (80 needed)" in gate(79).sentence
    assert gate(80).passed


def test_the_service_may_take_as_long_as_its_slack_and_no_longer(capability: Capability) -> None:
    def gate(milliseconds: float) -> Gate:
        times = {"monolith": [10.0] * 400, "catalog": [milliseconds] * 400}
        return gates.latency(capability, facts(FakeEvidence(latencies=times)))

    assert gate(20.0).passed
    assert not gate(20.1).passed


def test_no_samples_of_the_monolith_hold(capability: Capability) -> None:
    seen = FakeEvidence(latencies={"catalog": [10.0] * 400})
    assert not gates.latency(capability, facts(seen)).passed


def test_a_single_route_that_is_provably_slower_holds(capability: Capability) -> None:
    gate = gates.latency(
        capability, facts(FakeEvidence(slow=("GET /rugs/<int:pk>/: takes 3.1 times as long",)))
    )
    assert not gate.passed
    assert "GET /rugs/<int:pk>/" in gate.sentence


def test_a_service_that_is_not_ready_holds(capability: Capability) -> None:
    gate = gates.service(capability, facts(health=Health("catalog", False, "/health/ready answers 503")))
    assert not gate.passed
    assert gate.sentence == "catalog isn't ready: /health/ready answers 503. See `strangler ps`."


@pytest.mark.parametrize("taken", [None, "r1"])
def test_a_gateway_that_is_away_or_behind_holds(capability: Capability, taken: str | None) -> None:
    gate = gates.gateway(capability, facts(gateway=GatewayView(taken, "r2", detail="It is away.")))
    assert not gate.passed


def test_evidence_says_from_when_on_it_counts_and_why(capability: Capability) -> None:
    gate = gates.footing(capability, facts(FakeEvidence()))
    assert gate.passed
    assert (
        gate.sentence == "What was compared is what runs: monolith at version 1a and catalog at version 1a."
    )
    assert gates.counted_from(FakeEvidence()).endswith("12:00:00 UTC, when the comparator began")
    later = FakeEvidence(since=NOON + datetime.timedelta(hours=1))
    assert gates.counted_from(later) == "counts from 2026-01-31 13:00:00 UTC, when the phase began"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (Footing(VERSIONS | {"catalog": "2b"}, RULES), "catalog was deployed anew (version 1a, now 2b)"),
        (Footing(VERSIONS | {"monolith": "2b"}, RULES), "monolith was deployed anew (version 1a, now 2b)"),
        (Footing(VERSIONS, {"limits": "2f"}), "its limits changed in strangler.toml"),
        (Footing(VERSIONS | {"catalog": ""}, RULES), "catalog tells no version with /health/ready"),
    ],
)
def test_evidence_of_another_version_or_other_rules_holds(
    capability: Capability, now: Footing, said: str
) -> None:
    gate = gates.footing(capability, facts(FakeEvidence(), footing=now))
    assert not gate.passed
    assert said in gate.sentence


def test_a_comparator_that_has_not_said_what_it_compares_holds(capability: Capability) -> None:
    assert not gates.footing(capability, facts(FakeEvidence(laid=None))).passed
    assert not gates.footing(capability, facts(FakeEvidence(), footing=None)).passed


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        (None, "Nothing is known of what follows."),
        (NOT_ORDERED, "`strangler apply catalog.read shadow`, has it follow"),
        (FakeFollowing(unknown="The owner's database can't be reached."), "can't be reached"),
        (FakeFollowing(word=None), "The follower has never said a word"),
        (FakeFollowing(word=31.0), "The follower said its last word 31 s ago; see `strangler ps`"),
        (FakeFollowing(held="the follower lacks knots"), "The follower holds: the follower lacks knots"),
        (
            FakeFollowing(copied=False, copying=[Progress("catalog_rug", 1200, 8000)]),
            "Rows are still being copied: catalog_rug 1,200 of 8,000.",
        ),
        (FakeFollowing(lag=None), "How far the follower is behind can't be read."),
        (FakeFollowing(lag=Lag(1, 5.1)), "catalog is 1 change and 5.1 s behind, 5 s allowed."),
    ],
)
def test_rows_that_do_not_follow_or_are_far_behind_hold_with_the_reason(
    capability: Capability, following: FakeFollowing | None, reason: str
) -> None:
    gate = gates.follows(capability, facts(following=following))
    assert not gate.passed
    assert reason in gate.sentence


def test_rows_may_be_behind_up_to_the_limit(capability: Capability) -> None:
    gate = gates.follows(capability, facts(following=FakeFollowing(lag=Lag(1200, 5.0))))
    assert gate.passed
    assert gate.sentence == "catalog is 1,200 changes and 5.0 s behind, 5 s allowed."


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        (None, "Nothing is known about the rows."),
        (FakeFollowing(unknown="It is away."), "It is away."),
        (FakeFollowing(round=None, age=None), "No verification has ended since catalog follows."),
        (FakeFollowing(round=None, problem="No mark came."), "The last attempt stopped: No mark came."),
        (FakeFollowing(round=FakeRound(tables=["catalog_rug"])), "No verification has ended"),
        (FakeFollowing(age=300.5), "That is too old, 300 s are allowed."),
        (
            FakeFollowing(round=FakeRound(differing=1, named=["catalog_rug (7) is missing at the follower"])),
            "Of 8,212 rows 1 differ, verified 3 s ago in 0.4 s. catalog_rug (7) is missing at the follower.",
        ),
        (
            FakeFollowing(round=FakeRound(unsettled=1, named=["catalog_rug (7) never settles"])),
            "never settle",
        ),
    ],
)
def test_rows_that_differ_never_settle_or_were_not_verified_lately_hold(
    capability: Capability, following: FakeFollowing | None, reason: str
) -> None:
    gate = gates.rows(capability, facts(following=following))
    assert not gate.passed
    assert reason in gate.sentence


@pytest.mark.parametrize("unfit", [None, ["The owner's table catalog_rug has no primary key."]])
def test_tables_that_can_not_follow_hold(capability: Capability, unfit: list[str] | None) -> None:
    assert not gates.tables(capability, facts(unfit=unfit)).passed


@pytest.mark.parametrize("evidence", [None, NO_EVIDENCE])
@pytest.mark.parametrize("gate", [gates.answers, gates.coverage, gates.critical, gates.latency])
def test_missing_evidence_holds_and_never_advances(
    capability: Capability, gate: object, evidence: FakeEvidence | None
) -> None:
    assert not gate(capability, facts(evidence)).passed  # type: ignore[operator]


# ── The table ────────────────────────────────────────────────────────────────────────────────────


def test_the_first_move_asks_for_what_a_move_needs_and_for_no_evidence(capability: Capability) -> None:
    found = judge(capability, MONOLITH, SHADOW, facts())
    assert [gate.name for gate in found] == ["service", "gateway", "tables"]


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        (SHADOW, Phase("canary", 10)),
        (Phase("canary", 10), Phase("canary", 50)),
        (Phase("canary", 50), SWITCHED),
    ],
)
def test_every_later_move_asks_for_all_gates(capability: Capability, origin: Phase, target: Phase) -> None:
    found = judge(capability, origin, target, facts(FakeEvidence()))
    names = [
        "service",
        "gateway",
        "contracts",
        "follows",
        "rows",
        "footing",
        "coverage",
        "answers",
        "critical",
        "latency",
    ]
    assert [gate.name for gate in found] == names
    assert all(gate.passed for gate in found)


# ── Contracts ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_known_to_keep_its_contracts_is_held(capability: Capability) -> None:
    broken = FakeContracts(False, "catalog 3c4d was never verified against ordering's pact.")
    assert gates.contracts(capability, facts()) == Gate("contracts", True, FakeContracts().sentence)
    assert gates.contracts(capability, facts(contracts=broken)) == Gate("contracts", False, broken.sentence)
    assert not gates.contracts(capability, facts(contracts=None)).passed


def test_only_the_file_itself_says_that_no_contracts_are_needed(capability: Capability) -> None:
    needs_none = replace(capability, gate=replace(capability.gate, contracts=False))
    gate = gates.contracts(needs_none, facts(contracts=None))
    assert gate.passed
    assert "strangler.toml says" in gate.sentence


def test_a_way_back_has_no_gates(capability: Capability) -> None:
    assert judge(capability, SWITCHED, MONOLITH, facts()) == ()
