"""What an operator has in front of them: the wanted state, the record, the surroundings, and their name."""

from __future__ import annotations

import datetime
import getpass
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from strangler.compare.footing import Footing
from strangler.config import Capability, Config
from strangler.control import judging, write_gates
from strangler.control.effects import routed
from strangler.control.facts import Facts, FollowState, GatewayView, Health, Ownership
from strangler.control.gates import answers, follows, tables
from strangler.control.gates import contracts as contracts_gate
from strangler.control.phases import COMPLETE, SWITCHED, Phase
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
        """The capability of that name; UsageError if there is none."""
        return self.config.capability(name)

    def facts(
        self, capability: Capability, standing: Standing, target: Phase, unfinished: Transition | None = None
    ) -> Facts:
        """What the gates before this move look at, as it is now; nothing else is asked."""
        checked = judging.checks(capability, standing.phase, target)
        compared = answers in checked
        health = self.surroundings.health(self.config.homes[capability.home])
        return Facts(
            health=health,
            gateway=self.gateway(unfinished),
            unfit=self._unfit(capability) if tables in checked else None,
            following=self.following(capability) if follows in checked else None,
            evidence=self.surroundings.evidence(capability, standing.since) if compared else None,
            ownership=self.ownership(capability),
            stood=stood(standing),
            behind=self._behind(capability) if write_gates.others in checked else None,
            references=self._references(capability) if write_gates.unused in checked else None,
            contracts=self.surroundings.contracts(capability) if contracts_gate in checked else None,
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
        """How the capability's tables follow now; None where it has none left, or nothing can be asked."""
        if not capability.tables or self.completed_by(capability):
            return None
        try:
            return self.surroundings.following(capability)
        except UsageError:  # a home without a database, which the gate on tables names
            return None

    def ownership(self, capability: Capability) -> Ownership | None:
        """Who owns the capability's rows; None where its kind doesn't move them."""
        if capability.kind != "write" or not capability.tables:
            return None
        return self.surroundings.ownership(capability)

    def completed_by(self, capability: Capability) -> str | None:
        """Another capability with some of the same tables that is complete: they are gone where they were."""
        phases = routed(self.config, self.store)
        return next(
            (
                other.name
                for other in self.config.capabilities.values()
                if other.name != capability.name
                and set(other.tables) & set(capability.tables)
                and phases[other.name] == COMPLETE
            ),
            None,
        )

    def _references(self, capability: Capability) -> Sequence[str] | None:
        """What still needs the old owner's tables; None where that can't be learned."""
        try:
            return self.surroundings.references(capability)
        except StranglerError:
            return None

    def _behind(self, capability: Capability) -> Sequence[str]:
        """Capabilities with some of the same tables that aren't switched yet."""
        phases = routed(self.config, self.store)
        return [
            f"{other.name} is at {phases[other.name]}"
            for other in self.config.capabilities.values()
            if set(other.tables) & set(capability.tables) and phases[other.name] not in (SWITCHED, COMPLETE)
        ]

    def _unfit(self, capability: Capability) -> Sequence[str]:
        try:
            return self.surroundings.unfit(capability) if capability.tables else ()
        except UsageError as reason:
            return (str(reason),)


def stood(standing: Standing) -> float | None:
    """Seconds since the capability came to its phase."""
    if standing.since is None:
        return None
    return (datetime.datetime.now(datetime.UTC) - standing.since).total_seconds()


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
