"""Which gates stand before which move, of reads and of writes: the one place that lists them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from strangler.config import Capability
from strangler.control import gates, write_gates
from strangler.control.facts import Facts
from strangler.control.gates import Gate
from strangler.control.phases import Phase

Check = Callable[[Capability, Facts], Gate]

# By the kind of the capability, and the names of the phases that a move leads from and to.
GATES: Mapping[tuple[str, str, str], tuple[Check, ...]] = {
    **{("read", *move): checks for move, checks in gates.GATES.items()},
    **{("write", *move): checks for move, checks in write_gates.GATES.items()},
}


def checks(capability: Capability, origin: Phase, target: Phase) -> tuple[Check, ...]:
    """The gates before the move from `origin` to `target`, in their order; a way back of reads has none."""
    return GATES.get((capability.kind, origin.name, target.name), ())


def judge(capability: Capability, origin: Phase, target: Phase, facts: Facts) -> tuple[Gate, ...]:
    """What each of them says."""
    return tuple(check(capability, facts) for check in checks(capability, origin, target))
