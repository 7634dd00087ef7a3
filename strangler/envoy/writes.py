"""Writes, as Envoy's routes and clusters: they go to whoever owns the rows, and wait while ownership moves.

Each write capability has a cluster of its own, `owner of NAME`, with one address: the owner's. A switch
exchanges that address and nothing else, since a retry doesn't choose its route anew but its address. A home
that refuses a write because its rows are moving says so, having done nothing, and Envoy sends the request
again until the owner takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from strangler.config import Capability, Config
from strangler.control.phases import COMPLETE, MONOLITH, SWITCHED, Phase
from strangler.envoy import clusters
from strangler.envoy.names import CAPABILITY_HEADER, FENCED_HEADER, Resource, owner_of

# A fence stands for seconds at most; each write under it is sent again a few dozen times a second.
_BACK_OFF = {"base_interval": "0.01s", "max_interval": "0.03s"}
_RETRIES = 2000
# For writes of others, which meet a fence only by and by: about as many seconds as a fence may stand.
SLOWLY: Resource = {"num_retries": 60, "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.25s"}}
_BEYOND = 5.0  # seconds that a write may take besides waiting for a fence


def until_owned(nothing_was_sent: str) -> Resource:
    """A retry policy for what may meet a fence: again where nothing was sent, or nothing was done."""
    return {
        "retry_on": f"{nothing_was_sent},retriable-headers",
        "retriable_headers": [{"name": FENCED_HEADER, "present_match": True}],
        "num_retries": _RETRIES,
        "retry_back_off": _BACK_OFF,
    }


def action(capability: Capability, nothing_was_sent: str) -> Resource:
    """What the capability's routes do, whoever owns the rows."""
    return {
        "cluster": owner_of(capability.name),
        "timeout": f"{capability.switch.fence + _BEYOND:g}s",
        "retry_policy": until_owned(nothing_was_sent),
    }


def rest(capability: Capability) -> Resource:
    """Besides: homes learn whose write it is, and Envoy keeps a whole body to send it again."""
    header = {"header": {"key": CAPABILITY_HEADER, "value": capability.name}}
    return {
        "request_headers_to_add": [header | {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "request_body_buffer_limit": capability.switch.largest,
    }


def owner(capability: Capability, phase: Phase) -> str:
    """The home that owns the rows in a phase."""
    return capability.home if phase in (SWITCHED, COMPLETE) else capability.owner


def owner_clusters(config: Config, homes: Mapping[str, str], eds: Path) -> Iterator[Resource]:
    """A cluster for each capability's owner."""
    for name, capability in config.capabilities.items():
        if capability.kind == "write":
            cluster = clusters.addressed(owner_of(name), homes[capability.owner], eds)
            # Or the old owner, when its address goes, still gets most of what is sent again.
            yield cluster | {"ignore_health_on_host_removal": True}


def owner_endpoints(
    config: Config, homes: Mapping[str, str], phases: Mapping[str, Phase], former: Mapping[str, Resource]
) -> Iterator[tuple[str, Resource]]:
    """The address of each capability's owner (EDS), by the name of its cluster; `former` are those so far."""
    for name, capability in config.capabilities.items():
        if capability.kind == "write":
            home = owner(capability, phases.get(name, MONOLITH))
            cluster = owner_of(name)
            yield cluster, clusters.assignment(cluster, home, homes[home], former.get(cluster))
