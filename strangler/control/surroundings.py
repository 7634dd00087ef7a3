"""What the control plane asks of the rest of the kit: health, routes, rows and evidence, behind one protocol.

Each part is imported when it is asked, so that `strangler history` needs no gateway.
"""

from __future__ import annotations

import datetime
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from strangler.config import Capability, Config, Home
from strangler.control.gates import CopyState, Evidence, GatewayView, Health
from strangler.control.phases import Phase
from strangler.errors import UsageError
from strangler.run.system import System

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

    def publish(self, phases: Mapping[str, Phase]) -> str:
        """Route by these phases and wait until the gateway has taken that; returns the revision.

        Raises StranglerError if it refuses, and the routes are then as they were.
        """
        ...

    def copy_rows(self, capability: Capability, progress: Progress | None) -> str:
        """Copy the capability's rows to its home, going on where a copy was cut short; says what it did."""
        ...

    def rows(self, capability: Capability) -> CopyState:
        """How the capability's tables stand at both homes."""
        ...

    def evidence(self, capability: Capability, since: datetime.datetime | None) -> Evidence:
        """What the comparison has seen since then."""
        ...


class Actual:
    """The surroundings of a running system."""

    def __init__(self, config: Config, system: System) -> None:
        self._config, self._system = config, system

    def health(self, home: Home) -> Health:
        url = self._system.homes.get(home.name) or home.url
        if not url:
            return Health(home.name, False, "it isn't among what runs")
        # A proxy of the environment has no business between us and a home.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url + READY, timeout=PATIENCE) as answer:
                return Health(home.name, answer.status == 200, f"{READY} answers {answer.status}")
        except urllib.error.HTTPError as answer:
            with answer:
                return Health(home.name, False, f"{READY} answers {answer.code}")
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

    def publish(self, phases: Mapping[str, Phase]) -> str:
        from strangler.envoy import gateway

        return gateway.publish(self._config, self._system, phases).revision

    def copy_rows(self, capability: Capability, progress: Progress | None) -> str:
        from strangler.movement.backfill import backfill

        report = backfill(*self._databases(capability), capability.tables, progress=progress)
        return f"{report.written:,} rows written, {report.deleted:,} deleted in {report.seconds:.1f} s"

    def rows(self, capability: Capability) -> CopyState:
        from strangler.movement.backfill import copied

        return copied(*self._databases(capability), capability.tables)

    def evidence(self, capability: Capability, since: datetime.datetime | None) -> Evidence:
        from strangler.compare.evidence import evidence

        return evidence(self._system, capability.name, since=since)

    def _databases(self, capability: Capability) -> tuple[str, str]:
        """URLs of the owner's and of the home's database."""
        urls = []
        for home in (self._config.homes[capability.owner], self._config.homes[capability.home]):
            if home.database is None:
                raise UsageError(
                    f"The home {home.name} names no database in strangler.toml, so the rows of "
                    f"{capability.name} can't be copied. Nothing was changed."
                )
            urls.append(self._system.databases[home.database])
        return urls[0], urls[1]
