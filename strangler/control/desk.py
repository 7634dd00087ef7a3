"""What an operator has in front of them: the wanted state, the record, the surroundings, and their name."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from strangler.compare.footing import Footing
from strangler.config import Capability, Config
from strangler.control.effects import routed
from strangler.control.gates import GATES, Facts, FollowState, GatewayView, Health, answers, tables
from strangler.control.gates import contracts as contracts_gate
from strangler.control.phases import Phase
from strangler.control.store import Standing, Store, Transition, connect
from strangler.control.surroundings import Actual, Surroundings
from strangler.errors import UsageError
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
        compared = answers in gates
        health = self.surroundings.health(self.config.homes[capability.home])
        return Facts(
            health=health,
            gateway=self.gateway(unfinished),
            unfit=self._unfit(capability) if tables in gates else None,
            following=self.following(capability) if compared else None,
            evidence=self.surroundings.evidence(capability, standing.since) if compared else None,
            contracts=self.surroundings.contracts(capability) if contracts_gate in gates else None,
            footing=self._footing(capability, health) if compared else None,
        )

    def gateway(self, unfinished: Transition | None = None) -> GatewayView:
        """What the gateway has taken, against the recorded phases or those that were being published."""
        phases = routed(self.config, self.store)
        view = self.surroundings.gateway(phases)
        if unfinished and not view.agrees:
            begun = self.surroundings.gateway(phases | {unfinished.capability: unfinished.target})
            return begun if begun.agrees else view
        return view

    def _footing(self, capability: Capability, health: Health) -> Footing:
        owner = self.surroundings.health(self.config.homes[capability.owner])
        versions = {owner.home: owner.version, health.home: health.version}
        return Footing(versions, self.surroundings.rules(capability))

    def following(self, capability: Capability) -> FollowState | None:
        """How the capability's tables follow now; None where it has none, or nothing can be asked."""
        try:
            return self.surroundings.following(capability) if capability.tables else None
        except UsageError:  # a home without a database, which the gate on tables names
            return None

    def _unfit(self, capability: Capability) -> Sequence[str]:
        try:
            return self.surroundings.unfit(capability) if capability.tables else ()
        except UsageError as reason:
            return (str(reason),)


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
