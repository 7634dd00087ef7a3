"""A snapshot: everything that Envoy is told, under one revision, made from values alone.

strangler.toml, the homes' addresses and the phases go in; files come out. Host names are looked up, and
nothing else is read or written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from strangler.config import Config
from strangler.control.phases import Phase
from strangler.envoy import writes
from strangler.envoy.clusters import clusters, endpoints
from strangler.envoy.listener import listener
from strangler.envoy.names import Resource
from strangler.envoy.routes import route_configuration
from strangler.envoy.tracing import receiver
from strangler.run.system import System

LDS, CDS, RDS = "lds/lds.json", "cds/cds.json", "rds/rds.json"


def live_directory(system: System) -> Path:
    """Where the files lie that Envoy watches; one directory each, since a rename re-reads its whole
    directory.
    """
    return system.gateway_directory / "live"


@dataclass(frozen=True)
class Snapshot:
    """What Envoy is told at one revision: `files` maps a name like "rds/rds.json" to its bytes.

    The revision reads "7-3f2a91c04d": a number that grows with every snapshot, and a digest of the content.
    Each file carries it as its version_info.
    """

    revision: str
    files: Mapping[str, bytes]

    @property
    def number(self) -> int:
        return int(self.revision.partition("-")[0])

    @property
    def digest(self) -> str:
        """Equal for two snapshots that tell Envoy the same, whatever their numbers."""
        return self.revision.partition("-")[2]

    def resources(self, name: str) -> list[Resource]:
        """The resources in one of the files."""
        found: list[Resource] = json.loads(self.files[name])["resources"]
        return found

    def addresses(self) -> dict[str, Resource]:
        """The addresses (EDS) by the name of their cluster."""
        files = (name for name in self.files if name.startswith("eds/"))
        return {one["cluster_name"]: one for name in files for one in self.resources(name)}


def render(
    config: Config,
    system: System,
    phases: Mapping[str, Phase],
    *,
    number: int = 1,
    former: Snapshot | None = None,
) -> Snapshot:
    """The snapshot for these phases; a capability that isn't among them is at monolith.

    Of a home whose name can't be looked up just now, the address in the `former` snapshot stays. Raises
    HomeUnroutable for an address or a phase that can't be put in Envoy's words.
    """
    live = live_directory(system)
    resources = {
        CDS: [
            *clusters(config, system.homes, live / "eds"),
            *writes.owner_clusters(config, system.homes, live / "eds"),
            *receiver(config, system),
        ],
        LDS: [listener(config, system, live / "rds")],
        RDS: [route_configuration(config, phases)],
    }
    for home in sorted({config.gateway.default, *(one.home for one in config.capabilities.values())}):
        if found := endpoints(system.homes, home):
            resources[f"eds/{home}/eds.json"] = [found]
    so_far = former.addresses() if former else {}
    for cluster, address in writes.owner_endpoints(config, system.homes, phases, so_far):
        resources[f"eds/{cluster}/eds.json"] = [address]
    return of_resources(resources, number)


def of_resources(resources: Mapping[str, list[Resource]], number: int) -> Snapshot:
    """A snapshot of any resources, by file name."""
    content = {name: json.dumps(found, sort_keys=True) for name, found in resources.items()}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
    revision = f"{number}-{digest}"
    files = {
        name: json.dumps({"version_info": revision, "resources": found}, indent=1).encode() + b"\n"
        for name, found in resources.items()
    }
    return Snapshot(revision, files)
