"""Where one capability stands, what is true around it, and what comes next: all that `status` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from strangler.config import Capability
from strangler.control import gates
from strangler.control.desk import Desk
from strangler.control.facts import Evidence, FollowState, GatewayView, Health, Ownership
from strangler.control.gates import Gate
from strangler.control.judging import judge
from strangler.control.phases import COMPLETE, MONOLITH, SWITCHED, Direction, Phase, direction, step_towards
from strangler.control.store import GUARD, Looked, Operator, Standing, Transition
from strangler.control.transition import taken_back


@dataclass(frozen=True)
class Status:
    """One capability, now. `next` is the phase after this one, with the gates before it; None at the end.

    `unfinished` is a transition that has begun and not ended; `operator` is who is at it, or None if it was
    cut short. `following` is None where no rows have to follow, `evidence` where nothing is being compared.
    `guard` is its last look, `taken_back` its way back, if the capability stands where that led.
    """

    capability: Capability
    standing: Standing
    homes: tuple[Health, ...]
    gateway: GatewayView
    following: FollowState | None
    evidence: Evidence | None
    unfinished: Transition | None
    operator: Operator | None
    next: Phase | None
    gates: tuple[Gate, ...]
    guard: Looked | None
    taken_back: Transition | None
    ownership: Ownership | None = None

    @property
    def cut_short(self) -> bool:
        return self.unfinished is not None and self.operator is None

    def as_json(self) -> dict[str, Any]:
        """Values that JSON has."""
        seen = self.evidence
        return {
            "capability": self.capability.name,
            "phase": str(self.standing.phase),
            "wanted": str(self.capability.phase),
            "revision": self.standing.revision,
            "since": self.standing.since.isoformat() if self.standing.since else None,
            "by": self.standing.by,
            "homes": [asdict(health) for health in self.homes],
            "gateway": asdict(self.gateway) | {"agrees": self.gateway.agrees},
            "following": self.following and _following_as_json(self.following),
            "ownership": self.ownership
            and {
                "owner": self.ownership.owner or None,
                "settled": self.ownership.settled,
                "epoch": self.ownership.epoch,
                "said": self.ownership.sentence or self.ownership.unknown,
            },
            "evidence": seen
            and {
                "since": seen.since.isoformat() if seen.since else None,
                "counts": gates.counted_from(seen),
                "captured": seen.captured,
                "dropped": seen.dropped,
                "comparable": seen.comparable,
                "shapes": seen.shapes,
                "different": seen.different,
                "excused": seen.excused,
                "stale": seen.stale,
                "coverage": seen.coverage,
                "critical": list(seen.critical),
            },
            "unfinished": self.unfinished and {"to": str(self.unfinished.target), "by": self.unfinished.by},
            "operator": self.operator and self.operator.name,
            "next": str(self.next) if self.next else None,
            "gates": [asdict(gate) for gate in self.gates],
            "guard": self.guard
            and {
                "lives": self.guard.lives,
                "looked": self.guard.at.isoformat(),
                "said": self.guard.sentence,
                "took_back": self.taken_back and self.taken_back.because,
            },
        }


def look(desk: Desk, name: str) -> Status:
    """Look at one capability and everything around it; changes nothing."""
    capability = desk.capability(name)
    standing = desk.store.standing(name)
    following = next_phase(standing.phase, capability.phase, capability.kind)
    facts = desk.facts(capability, standing, following) if following else None
    homes = desk.config.homes
    evidence = facts.evidence if facts else None
    if evidence is None and standing.phase != MONOLITH and capability.kind == "read":
        evidence = desk.surroundings.evidence(capability, standing.since)
    return Status(
        capability=capability,
        standing=standing,
        homes=(
            desk.surroundings.health(homes[capability.owner]),
            facts.health if facts else desk.surroundings.health(homes[capability.home]),
        ),
        gateway=facts.gateway if facts else desk.gateway(),
        following=facts.following if facts and facts.following else desk.following(capability),
        evidence=evidence,
        unfinished=desk.store.unfinished(name),
        operator=desk.store.operator(name),
        next=following,
        gates=judge(capability, standing.phase, following, facts) if following and facts else (),
        ownership=facts.ownership if facts else desk.ownership(capability),
        guard=desk.store.looked(name),
        taken_back=back if (back := taken_back(desk, name)) and back.by == GUARD else None,
    )


def _following_as_json(seen: FollowState) -> dict[str, Any]:
    """Seconds and rows; None is what couldn't be learned, or isn't there yet."""
    found = seen.round
    return {
        "ordered": seen.ordered,
        "follows": seen.follows,
        "lag": seen.lag and {"rows": seen.lag.rows, "seconds": seen.lag.seconds},
        "follower": {"lives": seen.lives, "word_age": seen.word, "held": seen.held},
        "copying": {one.table: {"rows": one.rows, "total": one.total} for one in seen.copying},
        "verified": found
        and {
            "age": seen.age,
            "seconds": found.seconds,
            "equal": found.equal,
            "rows": found.rows,
            "suspects": found.suspects,
            "differing": found.differing,
            "unsettled": found.unsettled,
            "named": list(found.named),
        },
        "problem": seen.problem,
        "unknown": seen.unknown,
    }


def next_phase(current: Phase, wanted: Phase, kind: str = "read") -> Phase | None:
    """The phase that comes next: on the way to the wanted one, or past it; None where there is none."""
    if current == SWITCHED:
        return COMPLETE if kind == "write" else None
    if current == COMPLETE:
        return None
    ahead = wanted if direction(current, wanted) is Direction.FORWARD else SWITCHED
    return step_towards(current, ahead, kind)
