"""What the control plane refuses.

StranglerError
├── ControlDatabaseAway   1  the control database doesn't answer
├── OperatorBusy          1  somebody else is moving this capability right now
├── TransitionFailed      1  an effect failed; says what stayed as it was
├── UsageError
│   └── PlanOutdated      2  a saved plan that no longer holds
└── Held
    └── GatesHeld         4  carries the plan with its gates
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strangler.errors import Held, StranglerError, UsageError

if TYPE_CHECKING:
    from strangler.control.plan import Plan


class ControlDatabaseAway(StranglerError):
    """The control database can't be reached, or went away in the middle."""


class OperatorBusy(StranglerError):
    """Another operator holds the lock of this capability."""


class TransitionFailed(StranglerError):
    """An effect failed. The transition is recorded as failed, and the message says where things stand."""


class PlanOutdated(UsageError):
    """A saved plan was made for a revision, or from a strangler.toml, that is no longer there."""


class GatesHeld(Held):
    """One or more gates hold the advance; `plan` has every gate with its evidence."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        held = plan.held
        count = "A gate holds" if len(held) == 1 else f"{len(held)} gates hold"
        reasons = "".join(f"\n  {gate.name}: {gate.sentence}" for gate in held)
        super().__init__(f"{count} {plan.capability} at {plan.origin}. Nothing was changed.{reasons}")
