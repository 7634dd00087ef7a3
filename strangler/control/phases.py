"""The phases of a capability, and the moves between them: the words that every other part of the kit uses.

Nothing is imported from the kit but its errors, since strangler.toml is checked with what stands here.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from strangler.errors import UsageError

FIRST_CANARY = 10  # percent of users, where the wanted phase lies beyond the canary and names no share


@dataclass(frozen=True)
class Phase:
    """How far a capability has moved. `percent` is the share of users in a canary, and 0 everywhere else.

    Reads go through shadow and canary, writes through replicate: two owners of one row is a split brain, so
    there is no canary of writes.
    """

    name: str
    percent: int = 0

    @staticmethod
    def parse(text: str) -> Phase:
        """Read a phase's name, `canary=N` with N in 1..99; UsageError says what is wrong."""
        if text in _ORDER and text != "canary":
            return Phase(text)
        if not (found := re.fullmatch(r"canary(?:=(\d{1,6}))?", text, re.ASCII)):
            raise UsageError(
                f"There is no phase {text!r}; the phases are: monolith, shadow, canary=N, switched "
                "for reads, and monolith, replicate, switched, complete for writes. Nothing was changed."
            )
        if not found[1]:
            raise UsageError(
                "A canary names its share of users in percent: canary=10, for example. Nothing was changed."
            )
        if not 1 <= (percent := int(found[1])) <= 99:
            raise UsageError(
                f"A canary's share lies between 1 and 99 percent, not {percent}; all users is 'switched'. "
                "Nothing was changed."
            )
        return Phase("canary", percent)

    def __str__(self) -> str:
        return f"canary={self.percent}" if self.name == "canary" else self.name

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts phases by how far they are from the monolith."""
        return _ORDER.index(self.name), self.percent


_ORDER = ("monolith", "replicate", "shadow", "canary", "switched", "complete")
MONOLITH, SHADOW, SWITCHED = Phase("monolith"), Phase("shadow"), Phase("switched")
REPLICATE, COMPLETE = Phase("replicate"), Phase("complete")
# What a capability of each kind goes through.
PHASES = {
    "read": ("monolith", "shadow", "canary", "switched"),
    "write": ("monolith", "replicate", "switched", "complete"),
}


@dataclass(frozen=True)
class Move:
    """One way forward, by the phases' names, and what is true once it is done."""

    origin: str
    target: str
    sentence: str


# Read aloud: from the first, to the second, and then the third holds.
MOVES = (
    Move("monolith", "shadow", "{owner} answers everybody; a sample is asked of {home} too, and compared"),
    Move("shadow", "canary", "{home} answers {percent} % of the users; a sample is asked of {owner} too"),
    Move("canary", "canary", "{home} answers {percent} % of the users, those of before among them"),
    Move("canary", "switched", "{home} answers everybody; {owner} still can"),
    Move("monolith", "replicate", "{owner} owns the rows; those at {home} follow, and only follow"),
    Move("replicate", "switched", "{home} owns the rows; those at {owner} follow, and only follow"),
    Move("switched", "complete", "{home} has it for good; what {owner} had is archived and gone"),
)


class Direction(enum.Enum):
    """Where a phase lies as seen from another one."""

    SAME = "same"
    FORWARD = "forward"
    BACK = "back"


def direction(origin: Phase, target: Phase) -> Direction:
    """Whether going from `origin` to `target` is a way forward, a way back, or none at all."""
    if origin == target:
        return Direction.SAME
    return Direction.FORWARD if target.rank > origin.rank else Direction.BACK


def move(origin: Phase, target: Phase) -> Move | None:
    """The single move from `origin` to `target`, or None where one move doesn't lead there."""
    if direction(origin, target) is not Direction.FORWARD:
        return None
    return next((one for one in MOVES if (one.origin, one.target) == (origin.name, target.name)), None)


def meaning(phase: Phase, owner: str, home: str, kind: str = "read") -> str:
    """What is true in a phase of a capability of this kind, with the names of the homes."""
    before = PHASES[kind]
    sentence = next(
        (one.sentence for one in MOVES if one.target == phase.name and one.origin in before),
        "{owner} answers everybody",
    )
    return sentence.format(owner=owner, home=home, percent=phase.percent)


def step_towards(origin: Phase, target: Phase, kind: str = "read") -> Phase:
    """The next phase on the way forward from `origin`; `target` itself where one move leads there."""
    if move(origin, target):
        return target
    name = PHASES[kind][PHASES[kind].index(origin.name) + 1]
    return Phase(name, FIRST_CANARY if name == "canary" else 0)


def verb(capability: str, origin: Phase, target: Phase, *, cancels: bool = False) -> str:
    """What to type after `strangler` for a move; `cancels` where rows follow no more behind it."""
    if cancels:
        return f"cancel {capability}"
    if target == COMPLETE:
        return f"complete {capability}"
    if direction(origin, target) is Direction.FORWARD:
        return f"apply {capability} {target}"
    return f"reverse {capability} --to {target}"


def check_kind(capability: str, kind: str, phase: Phase) -> None:
    """Refuse a phase that capabilities of this kind don't go through."""
    if phase.name not in PHASES[kind]:
        raise UsageError(
            f"{capability} is a {kind} capability, and goes through {', '.join(PHASES[kind])}: not {phase}. "
            "Nothing was changed."
        )


def check_forward(capability: str, origin: Phase, target: Phase, kind: str = "read") -> Move:
    """The move that an advance makes; UsageError suggests the right verb or the right phase."""
    check_kind(capability, kind, target)
    match direction(origin, target):
        case Direction.BACK:
            raise UsageError(
                f"{capability} is at {origin}, and {target} lies behind it. That is a way back: "
                f"use `strangler reverse {capability} --to {target}`. Nothing was changed."
            )
        case Direction.SAME:
            raise UsageError(f"{capability} is at {origin} already. Nothing was changed.")
    if target == COMPLETE and origin == SWITCHED:
        raise UsageError(
            f"No way leads back from {target}: use `strangler complete {capability}`, which archives first. "
            "Nothing was changed."
        )
    if found := move(origin, target):
        return found
    step = step_towards(origin, target, kind)
    raise UsageError(
        f"{capability} moves one phase at a time: after {origin} comes {step}, not {target}. "
        f"Use `strangler apply {capability} {step}`. Nothing was changed."
    )


def check_back(capability: str, origin: Phase, target: Phase, kind: str = "read") -> None:
    """Refuse a way back that leads forward, or nowhere; UsageError suggests the right verb."""
    check_kind(capability, kind, target)
    if origin == COMPLETE and target != COMPLETE:
        raise UsageError(
            f"{capability} is complete: what {target} would need is archived and gone. Nothing was changed."
        )
    if direction(origin, target) is Direction.FORWARD:
        raise UsageError(
            f"{capability} is at {origin}, and {target} lies ahead of it. That is a way forward: "
            f"use `strangler apply {capability} {target}`. Nothing was changed."
        )
