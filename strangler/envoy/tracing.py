"""The gateway's own spans: a trace begins here, or goes on where a client brought one (W3C)."""

from __future__ import annotations

from urllib.parse import urlsplit

from strangler.config import Config
from strangler.envoy.names import TELEMETRY, TYPE, Resource
from strangler.run.system import System

SEND_WITHIN = "1s"
_ASIDE = "x-strangler-good-"
# What may be continued, in CEL: the standard's version 00, and later ones as far as they look like it. In
# pieces, since Envoy bounds an expression's size.
_GOOD = " && ".join(
    [
        "size({it}) == 55",
        "{it}.matches('^[0-9a-f]{{2}}-[0-9a-f]{{32}}-')",
        "{it}.matches('-[0-9a-f]{{16}}-[0-9a-f]{{2}}$')",
        "!{it}.startsWith('ff')",
        f"!{{it}}.contains('-{'0' * 32}-')",
        f"!{{it}}.contains('-{'0' * 16}-')",
    ]
).format(it="request.headers['traceparent']")


def tracing(config: Config, system: System) -> Resource:
    """What the listener says of traces; nothing where nobody takes spans."""
    if not system.telemetry or not config.telemetry.sample:
        return {}
    service = {"cluster": TELEMETRY, "uri": f"{system.telemetry}/v1/traces", "timeout": SEND_WITHIN}
    return {
        "tracing": {
            "random_sampling": {"value": config.telemetry.sample * 100},
            "spawn_upstream_span": True,  # a span for each attempt, so that a fallback is seen
            "provider": {
                "name": "opentelemetry",
                "typed_config": {
                    "@type": f"{TYPE}config.trace.v3.OpenTelemetryConfig",
                    "service_name": "gateway",
                    "http_service": {"http_uri": service},
                },
            },
        }
    }


def receiver(config: Config, system: System) -> list[Resource]:
    """The cluster of whoever takes spans. One that is away costs spans, and no request."""
    if not tracing(config, system):
        return []
    url = urlsplit(system.telemetry)
    address = {"socket_address": {"address": url.hostname, "port_value": url.port or 80}}
    return [
        {
            "@type": f"{TYPE}config.cluster.v3.Cluster",
            "name": TELEMETRY,
            "type": "STRICT_DNS",
            "dns_lookup_family": "V4_PREFERRED",
            "connect_timeout": "0.25s",
            "circuit_breakers": {
                "thresholds": [{"max_connections": 2, "max_pending_requests": 16, "max_requests": 16}]
            },
            "load_assignment": {
                "cluster_name": TELEMETRY,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
    ]


def without_broken_trace() -> list[Resource]:
    """Changes to a request's headers: a traceparent that can't be continued goes, and tracestate with it.

    Envoy by itself makes no span for such a request, and hands the header on. A header can be removed by its
    name alone, so a good one is set aside, and put back.
    """
    return [
        _set(_ASIDE + "traceparent", _if_good("traceparent")),
        _set(_ASIDE + "tracestate", _if_good("tracestate")),
        {"remove": "traceparent"},
        {"remove": "tracestate"},
        _set("traceparent", f"%REQ({_ASIDE}traceparent)%"),
        _set("tracestate", f"%REQ({_ASIDE}tracestate)%"),
        {"remove": _ASIDE + "traceparent"},
        {"remove": _ASIDE + "tracestate"},
    ]


def _if_good(name: str) -> str:
    """A header's value if the request's traceparent can be continued; nothing otherwise."""
    return f"%CEL({_GOOD} ? request.headers['{name}'] : '')%"


def _set(name: str, value: str) -> Resource:
    return {"append": {"header": {"key": name, "value": value}, "append_action": "ADD_IF_ABSENT"}}
