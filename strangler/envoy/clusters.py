"""Homes, as Envoy's clusters (CDS) and their addresses (EDS): where a routed request goes.

Both are a matter of strangler.toml and of where the homes run. No phase changes them, so a change of phase
never touches a connection pool or a health check.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from strangler.config import Config, Home
from strangler.envoy.errors import HomeUnroutable
from strangler.envoy.names import EXTENSION, METADATA, TYPE, Resource, with_fallback

# A breaker's overflow never spills over to the other home: these bound memory, not load.
_BREAKER = {"max_connections": 1024, "max_pending_requests": 4096, "max_requests": 4096, "max_retries": 4096}

# Below every Python server's own limit for idle connections (gunicorn: 2 s), so that none is closed by its
# server in the moment that Envoy picks it.
_IDLE_SECONDS = "1.5s"

_CONNECT_SECONDS = "0.25s"


def clusters(config: Config, homes: Mapping[str, str], eds: Path) -> list[Resource]:
    """A cluster for each home that something is routed to, and one with fallback for each home that moves.

    `homes` are base URLs by name; `eds` is the directory with one directory per home for its address.
    """
    owner = config.gateway.default
    moved = sorted({capability.home for capability in config.capabilities.values()})
    found = [_cluster(owner, homes[owner], eds)]
    for home in moved:
        found.append(_cluster(home, homes[home], eds) | _watched(config, config.homes[home]))
        found.append(_with_fallback(home, owner))
    return found


def endpoints(homes: Mapping[str, str], home: str) -> Resource | None:
    """The address of a home (EDS); None for one that has a host name, which Envoy asks DNS for."""
    host, _ = _address(home, homes[home])
    return assignment(home, home, homes[home]) if _is_ip(host) else None


def assignment(cluster: str, home: str, url: str, former: Resource | None = None) -> Resource:
    """A cluster's only address: that of `home` at `url`. A host name is looked up here and now.

    Where it can't be, the address that the `former` assignment has for this home stays, and without one there
    is none: the cluster answers 503, and everything else is routed. Raises HomeUnroutable where the former
    address is another home's.
    """
    found = _assignment(cluster, home, url)
    address = found["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    if not _is_ip(address["address"]):
        try:
            address["address"] = socket.gethostbyname(address["address"])
        except OSError as error:
            known = former["endpoints"] if former else []
            if any(one["lb_endpoints"][0]["metadata"] != _belonging_to(home) for one in known):
                raise HomeUnroutable(
                    f"{home} is at {url}, and that name can't be looked up ({error}). Nothing was changed."
                ) from None
            found["endpoints"] = known
    return {"@type": f"{TYPE}config.endpoint.v3.ClusterLoadAssignment", **found}


def addressed(name: str, url: str, eds: Path) -> Resource:
    """A cluster that reads its address from a file, whatever the home's address is; `url` is one of them."""
    port = f"http://127.0.0.1:{_address(name, url)[1]}"
    return _cluster(name, port, eds)


def _cluster(home: str, url: str, eds: Path) -> Resource:
    cluster: Resource = {
        "@type": f"{TYPE}config.cluster.v3.Cluster",
        "name": home,
        "connect_timeout": _CONNECT_SECONDS,
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [_BREAKER]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSION}upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": _IDLE_SECONDS},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
    host, _ = _address(home, url)
    if _is_ip(host):
        folder = eds / home
        source = {"path": f"{folder / 'eds.json'}", "watched_directory": {"path": f"{folder}"}}
        return cluster | {"type": "EDS", "eds_cluster_config": {"eds_config": {"path_config_source": source}}}
    return cluster | {
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "load_assignment": _assignment(home, home, url),
    }


def _watched(config: Config, home: Home) -> Resource:
    """What takes a home that moved out of rotation: its own health page, and what its callers see.

    Only transport failures and 502..504 count. A service that answers 500 has a bug that somebody must see;
    hiding it behind the monolith would let it pass the comparison.
    """
    watched: Resource = {
        "common_lb_config": {
            "healthy_panic_threshold": {"value": 0}
        },  # or its only endpoint is used all the same
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 3,
            "enforcing_consecutive_local_origin_failure": 100,
            "consecutive_gateway_failure": 5,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "2s",
            "max_ejection_percent": 100,
        },
    }
    path = config.processes[home.process].health if home.process else None
    if path:
        watched["health_checks"] = [
            {
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": path},
            }
        ]
    return watched


def _with_fallback(home: str, owner: str) -> Resource:
    return {
        "@type": f"{TYPE}config.cluster.v3.Cluster",
        "name": with_fallback(home, owner),
        "connect_timeout": _CONNECT_SECONDS,
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": {"thresholds": [_BREAKER]},
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": f"{EXTENSION}clusters.aggregate.v3.ClusterConfig",
                "clusters": [home, owner],
            },
        },
    }


def _assignment(cluster: str, home: str, url: str) -> Resource:
    host, port = _address(home, url)
    endpoint = {
        "address": {"socket_address": {"address": host, "port_value": port}},
        # The Host of a health check: a name that Django's ALLOWED_HOSTS knows, not the cluster's.
        "health_check_config": {"hostname": urlsplit(url).netloc},
    }
    return {
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": [{"endpoint": endpoint, "metadata": _belonging_to(home)}]}],
    }


def _belonging_to(home: str) -> Resource:
    return {"filter_metadata": {METADATA: {"home": home}}}


def _address(home: str, url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.rstrip("/"):
        raise HomeUnroutable(
            f"The gateway reaches homes at http://host:port, so {home} can't be at {url!r}. "
            "Nothing was changed."
        )
    return parts.hostname, parts.port or 80


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
