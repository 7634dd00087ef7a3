"""From where a capability stands, where it goes and what is true now, to the gates and effects of the move.

Pure: nothing here asks or acts. A saved plan is this same object.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from strangler.config import Capability
from strangler.control.effects import (
    STEPS,
    Archive,
    DropTables,
    Effect,
    Follow,
    ForgetOwner,
    InstallCapture,
    PublishRoutes,
    RecordPhase,
    RehearseRoutes,
    Replicate,
    StopFollowing,
    SwitchStep,
    VerifyRows,
    from_record,
    to_record,
)
from strangler.control.facts import Facts
from strangler.control.gates import Gate
from strangler.control.judging import judge
from strangler.control.phases import COMPLETE, MONOLITH, SWITCHED, Phase
from strangler.control.store import Standing
from strangler.errors import UsageError


@dataclass(frozen=True)
class Plan:
    """One move of one capability. `revision` is the one that it was made for."""

    capability: str
    origin: Phase
    target: Phase
    revision: int
    gates: tuple[Gate, ...]
    effects: tuple[Effect, ...]

    @property
    def held(self) -> tuple[Gate, ...]:
        """The gates that hold; none means that the move may be made."""
        return tuple(gate for gate in self.gates if not gate.passed)

    def as_json(self) -> dict[str, Any]:
        """Values that JSON has, to be read back by `read`."""
        return {
            "capability": self.capability,
            "from": str(self.origin),
            "to": str(self.target),
            "revision": self.revision,
            "gates": [asdict(gate) for gate in self.gates],
            "effects": [_effect_as_json(effect) for effect in self.effects],
        }


def forward(capability: Capability, standing: Standing, target: Phase, facts: Facts) -> Plan:
    """The move to the next phase. The caller has made sure that it is one.

    Routes are published before the phase is recorded: killed in between, a gateway that starts anew routes as
    it did before the move.
    """
    if target == SWITCHED and capability.kind == "write":
        return switch(capability, standing, target, facts)
    rows: tuple[Effect, ...] = ()
    if capability.tables and standing.phase == MONOLITH:
        what = (capability.name, capability.tables, capability.owner)
        rows = (
            InstallCapture(*what),
            Follow(*what, capability.home),
            VerifyRows(*what, capability.home),
        )
        if capability.kind == "write":
            rows = (Replicate(*what, capability.home), *rows)
    return Plan(
        capability=capability.name,
        origin=standing.phase,
        target=target,
        revision=standing.revision,
        gates=judge(capability, standing.phase, target, facts),
        effects=(
            *rows,
            PublishRoutes(capability.name, target),
            RecordPhase(capability.name, target, standing.revision + 1),
        ),
    )


def back(capability: Capability, standing: Standing, target: Phase) -> Plan:
    """The way back, or once more to the same phase: no gates, and nothing that takes long.

    The phase is recorded before the routes are published: killed in between, a gateway that starts anew goes
    the way back by itself.
    """
    return Plan(
        capability=capability.name,
        origin=standing.phase,
        target=target,
        revision=standing.revision,
        gates=(),
        effects=(
            RecordPhase(capability.name, target, standing.revision + 1),
            PublishRoutes(capability.name, target),
        ),
    )


def switch(capability: Capability, standing: Standing, target: Phase, facts: Facts) -> Plan:
    """Ownership moves: to the service (`switched`), or back to where it came from (`replicate`).

    Either way the same steps in the same order; the routes follow the commit, since a home that doesn't own
    only says that nothing was done.
    """
    origin, new = capability.owner, capability.home
    if target != SWITCHED:
        origin, new = new, origin
    epoch = (facts.ownership.epoch if facts.ownership else 0) + 1
    steps = {step: SwitchStep(capability.name, step, origin, new, epoch) for step in STEPS}
    last = steps.pop("give_away")
    return Plan(
        capability=capability.name,
        origin=standing.phase,
        target=target,
        revision=standing.revision,
        gates=judge(capability, standing.phase, target, facts),
        effects=(
            RehearseRoutes(capability.name, target),
            *steps.values(),
            PublishRoutes(capability.name, target),
            last,
            RecordPhase(capability.name, target, standing.revision + 1),
        ),
    )


def complete(capability: Capability, standing: Standing, facts: Facts) -> Plan:
    """The point of no return: what the first owner had is archived, and goes."""
    what = (capability.name, capability.tables, capability.owner)
    return Plan(
        capability=capability.name,
        origin=standing.phase,
        target=COMPLETE,
        revision=standing.revision,
        gates=judge(capability, standing.phase, COMPLETE, facts),
        effects=(
            Archive(*what),
            PublishRoutes(capability.name, COMPLETE),
            DropTables(*what),
            RecordPhase(capability.name, COMPLETE, standing.revision + 1),
        ),
    )


def cancel(capability: Capability, standing: Standing) -> Plan:
    """Back to the monolith, and its rows follow no more. A way back leaves them following; see `back`."""
    back_home = back(capability, standing, MONOLITH)
    if not capability.tables:
        return back_home
    what = (capability.name, capability.tables, capability.owner, capability.home)
    rows: tuple[Effect, ...] = (StopFollowing(*what),)
    if capability.kind == "write":
        rows = (ForgetOwner(*what), *rows)
    return replace(back_home, effects=(*back_home.effects, *rows))


def read(text: str) -> Plan:
    """A saved plan; UsageError if the text is none."""
    try:
        values = json.loads(text)
        return Plan(
            capability=_of(str, values["capability"]),
            origin=Phase.parse(values["from"]),
            target=Phase.parse(values["to"]),
            revision=_of(int, values["revision"]),
            gates=tuple(Gate(**gate) for gate in values["gates"]),
            effects=tuple(from_record(one.pop("kind"), one) for one in values["effects"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"This is no saved plan ({type(error).__name__}: {error}). Make one with "
            "`strangler plan --save FILE`. Nothing was changed."
        ) from None


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _effect_as_json(effect: Effect) -> dict[str, Any]:
    kind, arguments = to_record(effect)
    return {"kind": kind} | arguments
