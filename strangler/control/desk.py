"""What an operator has in front of them: the wanted state, the record, the surroundings, and their name."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strangler.config import Capability, Config
from strangler.control.effects import routed
from strangler.control.gates import GATES, CopyState, Facts, GatewayView
from strangler.control.gates import rows as rows_gate
from strangler.control.phases import Phase
from strangler.control.store import Standing, Store, Transition, connect
from strangler.control.surroundings import Actual, Surroundings
from strangler.errors import StranglerError, UsageError
from strangler.run.system import System


@dataclass(frozen=True)
class Desk:
    """Everything that a verb of the control plane works on."""

    config: Config
    store: Store
    surroundings: Surroundings
    by: str

    def capability(self, name: str) -> Capability:
        """The capability of that name; UsageError if there is none, or if it can't be moved yet."""
        capability = self.config.capability(name)
        if capability.kind != "read":
            raise UsageError(
                f"{name} is a {capability.kind} capability, and only reads can be moved so far. "
                "Nothing was changed."
            )
        return capability

    def facts(
        self, capability: Capability, standing: Standing, target: Phase, unfinished: Transition | None = None
    ) -> Facts:
        """What the gates before this move look at, as it is now; nothing else is asked."""
        gates = GATES.get((standing.phase.name, target.name), ())
        compared = rows_gate in gates
        return Facts(
            health=self.surroundings.health(self.config.homes[capability.home]),
            gateway=self.gateway(unfinished),
            rows=self._rows(capability) if compared and capability.tables else None,
            evidence=self.surroundings.evidence(capability, standing.since) if compared else None,
        )

    def gateway(self, unfinished: Transition | None = None) -> GatewayView:
        """What the gateway has taken, against the recorded phases or those that were being published."""
        phases = routed(self.config, self.store)
        view = self.surroundings.gateway(phases)
        if unfinished and not view.agrees:
            begun = self.surroundings.gateway(phases | {unfinished.capability: unfinished.target})
            return begun if begun.agrees else view
        return view

    def _rows(self, capability: Capability) -> CopyState | None:
        try:
            return self.surroundings.rows(capability)
        except StranglerError as error:
            return _Unknown(reason=str(error))


@dataclass(frozen=True)
class _Unknown:
    """Rows that couldn't be looked at, and why."""

    reason: str
    complete: bool = False
    equal: bool = False


@contextmanager
def at_desk(
    config: Config, system: System, by: str, surroundings: Surroundings | None = None
) -> Iterator[Desk]:
    """Sit down at a running system: connects to the control database, and leaves it at the end."""
    with connect(system) as store:
        yield Desk(config, store, surroundings or Actual(config, system), by)


def operators_name() -> str:
    """$STRANGLER_OPERATOR, else user@host."""
    return os.environ.get("STRANGLER_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}"
