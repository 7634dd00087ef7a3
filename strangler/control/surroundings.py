"""What the control plane asks of the rest of the kit: health, routes, rows and evidence, behind one protocol.

Each part is imported when it is asked, so that `strangler history` needs no gateway.
"""

from __future__ import annotations

import datetime
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from strangler.config import Capability, Config, Home
from strangler.control.facts import ContractState, Evidence, FollowState, GatewayView, Health, Ownership
from strangler.control.phases import Phase
from strangler.run.system import System

if TYPE_CHECKING:
    from strangler.compare.evidence import Watched
    from strangler.movement.switch import Switch

READY = "/health/ready"
PATIENCE = 2.0  # seconds that a home has to answer

Progress = Callable[[Any], None]


class Surroundings(Protocol):
    """Everything outside that an advance looks at or acts on; tests have a hand-written one."""

    def health(self, home: Home) -> Health:
        """Ask a home whether it is ready."""
        ...

    def gateway(self, phases: Mapping[str, Phase]) -> GatewayView:
        """The revision that the gateway has taken, and the one that these phases come to."""
        ...

    def rehearse(self, phases: Mapping[str, Phase]) -> None:
        """Validate the routes of these phases, so that publishing them takes no time for it.

        Raises StranglerError if they aren't valid.
        """
        ...

    def publish(self, phases: Mapping[str, Phase]) -> str:
        """Route by these phases and wait until the gateway has taken that; returns the revision.

        Raises StranglerError if it refuses, and the routes are then as they were.
        """
        ...

    def unfit(self, capability: Capability) -> Sequence[str]:
        """Why the capability's tables can't follow as they are now; nothing where they can."""
        ...

    def capture(self, capability: Capability) -> str:
        """Take every change of the tables at the owner from here on; says what it did."""
        ...

    def follow(self, capability: Capability, by: str, progress: Progress | None) -> str:
        """Order that the tables follow, and wait until they do; says what it did."""
        ...

    def verify(self, capability: Capability) -> str:
        """Compare every row; says how many are equal. Raises StranglerError where one differs."""
        ...

    def stop_following(self, capability: Capability) -> str:
        """Follow no more, and take capture away from the owner; says what stays."""
        ...

    def replicate(self, capability: Capability) -> str:
        """Write down at both homes who owns the rows, with a fence around them; says what it did."""
        ...

    def switch_step(self, capability: Capability, step: str, origin: str, epoch: int) -> str:
        """Do one step of the switch that leads away from the home `origin`; says what it did."""
        ...

    def undo_switch(self, capability: Capability, origin: str, epoch: int) -> bool:
        """Undo such a switch; False if it has passed its commit point."""
        ...

    def ownership(self, capability: Capability) -> Ownership:
        """Who owns the capability's rows, and what is in the way of a switch."""
        ...

    def references(self, capability: Capability) -> Sequence[str]:
        """What still names or reads the tables that the first owner had."""
        ...

    def forget_owner(self, capability: Capability) -> str:
        """Take the fences off, and forget who owns; says what stays."""
        ...

    def archive(self, capability: Capability) -> str:
        """Dump what the first owner has, and try the restore; says where it lies."""
        ...

    def drop(self, capability: Capability) -> str:
        """Drop what the first owner had, and write the migration that says so; says where that lies."""
        ...

    def following(self, capability: Capability) -> FollowState:
        """How the capability's tables follow now; what can't be learned is told in it."""
        ...

    def evidence(self, capability: Capability, since: datetime.datetime | None) -> Evidence:
        """What the comparator has seen since then, or since what that rests on changed."""
        ...

    def rules(self, capability: Capability) -> Mapping[str, str]:
        """A fingerprint of each rule that a verdict hangs on, as strangler.toml declares it now."""
        ...

    def watched(self, capability: Capability, since: datetime.datetime) -> Watched:
        """The same evidence, as far as the guard looks at it."""
        ...

    def contracts(self, capability: Capability) -> ContractState | None:
        """Whether what runs keeps its contracts; None where the capability needs none."""
        ...


class Actual:
    """The surroundings of a running system."""

    def __init__(self, config: Config, system: System) -> None:
        self._config, self._system = config, system
        self._switches: dict[tuple[str, str, int], Switch] = {}  # under way, with their connections

    def health(self, home: Home) -> Health:
        url = self._system.homes.get(home.name) or home.url
        if not url:
            return Health(home.name, False, "it isn't among what runs")
        # A proxy of the environment has no business between us and a home.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url + READY, timeout=PATIENCE) as answer:
                detail = f"{READY} answers {answer.status}"
                return Health(home.name, answer.status == 200, detail, _version(answer.read()))
        except urllib.error.HTTPError as answer:
            with answer:
                return Health(home.name, False, f"{READY} answers {answer.code}", _version(answer.read()))
        except OSError as error:
            reason = getattr(error, "reason", error)
            return Health(
                home.name, False, f"{url} doesn't answer ({getattr(reason, 'strerror', None) or reason})"
            )

    def gateway(self, phases: Mapping[str, Phase]) -> GatewayView:
        from strangler.envoy import gateway

        recorded = gateway.revision_of(self._config, self._system, phases)
        seen = gateway.describe(self._system)
        return GatewayView(seen.revision, recorded, seen.rejected, seen.detail)

    def rehearse(self, phases: Mapping[str, Phase]) -> None:
        from strangler.envoy import gateway

        gateway.rehearse(self._config, self._system, phases)

    def publish(self, phases: Mapping[str, Phase]) -> str:
        from strangler.envoy import gateway

        return gateway.publish(self._config, self._system, phases).revision

    def unfit(self, capability: Capability) -> Sequence[str]:
        from strangler.movement.state import unfit

        return unfit(*self._stream(capability), capability.tables)

    def capture(self, capability: Capability) -> str:
        from strangler.movement.operations import begin_capture

        return begin_capture(*self._stream(capability), capability.tables)

    def follow(self, capability: Capability, by: str, progress: Progress | None) -> str:
        from strangler.movement.operations import begin_to_follow
        from strangler.movement.sides import sides

        source, target = self._stream(capability)
        first, _ = sides(self._config, capability, self._system)
        owner = capability.owner if source == first else capability.home
        return begin_to_follow(source, target, capability.name, owner, capability.tables, by, progress)

    def verify(self, capability: Capability) -> str:
        from strangler.movement.operations import verify_rows

        return verify_rows(*self._stream(capability), capability.name, capability.tables)

    def stop_following(self, capability: Capability) -> str:
        from strangler.movement.operations import stop_following

        return stop_following(*self._stream(capability), capability.name, capability.tables)

    def replicate(self, capability: Capability) -> str:
        from strangler.movement.sides import two_sides
        from strangler.movement.switch import replicate

        replicate(capability.name, capability.tables, *two_sides(self._config, capability, self._system))
        return f"{capability.owner} owns the rows; at {capability.home} only the applier writes them"

    def switch_step(self, capability: Capability, step: str, origin: str, epoch: int) -> str:
        from strangler.movement import switch

        start = time.monotonic()
        moved = self._switch(capability, origin, epoch)
        if step == "raise_fence":
            switch.raise_fence(moved, capability.switch.fence)
        elif step == "drain":
            with self._untold(capability, moved) as untold:
                switch.drain(moved, outbox=untold)
        else:
            getattr(switch, step)(moved)
        if step == "give_away":
            self._close(moved)
        return f"{step.replace('_', ' ')}: done in {(time.monotonic() - start) * 1000:.0f} ms"

    def undo_switch(self, capability: Capability, origin: str, epoch: int) -> bool:
        from strangler.movement import switch

        moved = self._switch(capability, origin, epoch)
        try:
            return switch.undo(moved)
        finally:
            self._close(moved)

    def ownership(self, capability: Capability) -> Ownership:
        from strangler.movement import owning
        from strangler.movement.sides import two_sides

        first, second = two_sides(self._config, capability, self._system)
        return owning.read(capability.name, capability.tables, first, second, capability.switch.quiet)

    def references(self, capability: Capability) -> Sequence[str]:
        from strangler.movement.archive import references
        from strangler.movement.sides import sides

        return references(sides(self._config, capability, self._system)[0], capability.tables)

    def forget_owner(self, capability: Capability) -> str:
        from strangler.movement.sides import two_sides
        from strangler.movement.switch import forget

        forget(capability.name, *two_sides(self._config, capability, self._system))
        return f"the fences are gone; {capability.owner} owns the rows, as before"

    def archive(self, capability: Capability) -> str:
        from strangler.movement.archive import archive
        from strangler.movement.sides import sides

        into = self._archive_of(capability)
        done = archive(sides(self._config, capability, self._system)[0], capability.tables, into)
        return f"{sum(one.rows for one in done):,} rows of {len(done)} tables lie in {into}, restore tried"

    def drop(self, capability: Capability) -> str:
        from strangler.movement import archive
        from strangler.movement.sides import sides

        first, second = sides(self._config, capability, self._system)
        archive.drop(first, second, capability.name, capability.tables)
        written = archive.write_migration(capability.context, capability.tables, self._archive_of(capability))
        return f"dropped; {written} is the migration that says so"

    def _archive_of(self, capability: Capability) -> Path:
        return self._system.state / "archive" / capability.name

    def _switch(self, capability: Capability, origin: str, epoch: int) -> Switch:
        from strangler.movement.sides import two_sides
        from strangler.movement.switch import Switch

        known = self._switches.get((capability.name, origin, epoch))
        if known is None:
            first, second = two_sides(self._config, capability, self._system)
            if origin != first.home:
                first, second = second, first
            known = Switch(capability.name, capability.tables, first, second, epoch)
            self._switches[capability.name, origin, epoch] = known
        return known

    @contextmanager
    def _untold(self, capability: Capability, moved: Switch) -> Iterator[Callable[[], int]]:
        """Counts the events of the capability's context that the home which gives away has still to tell."""
        from strangler.movement import announced
        from strangler.movement.tables import connection
        from strangler.run.layout import events_broker

        outbox = moved.bench.at(moved.origin)
        open_already = {moved.origin.url: outbox, moved.target.url: moved.bench.at(moved.target)}
        brokered = bool(events_broker(os.environ)) or announced.has_published(outbox)
        # A broker has what was told, and so nobody else's database is needed while the fence is up.
        names = [] if brokered else {home.database for home in self._config.homes.values() if home.database}
        with ExitStack() as stack:
            subscribers = [
                open_already.get(url) or stack.enter_context(connection(url, "subscriber"))
                for url in (self._system.databases[name] for name in names)
            ]
            publisher = announced.Publisher(moved.origin.home, capability.context, brokered)
            yield lambda: publisher.untold(outbox, subscribers)

    def _close(self, moved: Switch) -> None:
        self._switches = {key: one for key, one in self._switches.items() if one is not moved}
        moved.bench.close()

    def following(self, capability: Capability) -> FollowState:
        from strangler.movement.state import follow_state

        return follow_state(*self._stream(capability), capability.name, capability.tables)

    def evidence(self, capability: Capability, since: datetime.datetime | None) -> Evidence:
        from strangler.compare.evidence import counting

        return counting(self._system, capability.name, begun=since)

    def rules(self, capability: Capability) -> Mapping[str, str]:
        from strangler.compare.footing import rules

        return rules(self._config, capability, datetime.date.today())

    def watched(self, capability: Capability, since: datetime.datetime) -> Watched:
        from strangler.compare.evidence import watched

        return watched(self._system, capability.name, begun=since)

    def contracts(self, capability: Capability) -> ContractState | None:
        from strangler.contracts.running import verdict_on

        return verdict_on(self._config, self._system, capability.name) if capability.gate.contracts else None

    def _stream(self, capability: Capability) -> tuple[str, str]:
        """URLs of whoever owns the rows now, and of the home that follows."""
        from strangler.movement.sides import stream

        return stream(self._config, capability, self._system)


def _version(body: bytes) -> str:
    """The version that a home tells with its health, or "" where it tells none."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    return str(told.get("version", "")) if isinstance(told, dict) else ""
