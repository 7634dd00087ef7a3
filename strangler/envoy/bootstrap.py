"""What Envoy is started with: its admin address, and the directories in which it finds everything else."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from strangler.envoy.errors import HomeUnroutable
from strangler.envoy.names import EXTENSION, Resource
from strangler.envoy.snapshot import CDS, LDS, live_directory
from strangler.run.system import System

_CONNECTIONS = 10_000  # of clients, at once


def bootstrap(system: System) -> Resource:
    """The bootstrap that follows the live files. Its admin address must be a loopback one: it has no
    password.
    """
    return base(system) | {
        "dynamic_resources": {
            "lds_config": _watched(live_directory(system) / LDS),
            "cds_config": _watched(live_directory(system) / CDS),
        }
    }


def base(system: System) -> Resource:
    """What the live bootstrap and the one for validation have in common."""
    url = urlsplit(system.gateway_admin)
    host = url.hostname or ""
    if host != "localhost" and not (host and ipaddress.ip_address(host).is_loopback):
        raise HomeUnroutable(
            f"Envoy's admin address has no password and must be on this machine, not {system.gateway_admin}. "
            "Nothing was changed."
        )
    return {
        "node": {"id": "edge", "cluster": "strangler"},
        "application_log_config": {
            "log_format": {
                "json_format": {
                    "time": "%Y-%m-%dT%H:%M:%S.%e+00:00",
                    "level": "%l",
                    "logger": "envoy.%n",
                    "event": "%j",
                }
            }
        },
        "admin": {"address": {"socket_address": {"address": host, "port_value": url.port}}},
        # Or a trace that ended long ago would still lack the gateway's spans.
        "layered_runtime": {
            "layers": [
                {"name": "spans", "static_layer": {"tracing.opentelemetry.flush_interval_ms": 1000}},
            ]
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": (
                            f"{EXTENSION}resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
                        ),
                        "max_active_downstream_connections": _CONNECTIONS,
                    },
                }
            ]
        },
    }


def _watched(file: Path) -> Resource:
    return {"path_config_source": {"path": f"{file}", "watched_directory": {"path": f"{file.parent}"}}}
