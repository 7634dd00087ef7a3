"""The door that clients come in by (LDS): what is refused, stripped and written down before any route is
asked.

It depends on strangler.toml alone. No phase changes it, since changing a listener drains its connections:
captures and the exchange stand here switched off, and routes switch them on.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from strangler.config import Config, Gateway
from strangler.envoy.names import (
    BEHIND_HEADER,
    CAPABILITY_HEADER,
    EXCHANGE_FILTER,
    EXTENSION,
    FENCED_HEADER,
    HOME_HEADER,
    LISTENER,
    METADATA,
    ROUTES,
    STATS,
    TYPE,
    WRITTEN_COOKIE,
    Resource,
    capture_filter,
)
from strangler.envoy.tracing import tracing, without_broken_trace
from strangler.run.system import System

CAPTURED_BODY_BYTES = 1 << 20  # what is longer is cut, and marked so
# As long as a read may take: a monolith that is slow to say who asks is slow, and no reason to fail.
EXCHANGE_SECONDS = 15

# What a client may not say of itself: the kit's and Envoy's own headers, and those in which a proxy tells
# Django who asked and how. The gateway is the edge: it writes the latter anew.
_STRIPPED = ("x-strangler-", "x-envoy-", "x-forwarded-", "forwarded", "x-real-ip")


def listener(config: Config, system: System, rds: Path) -> Resource:
    """The one listener; `rds` is the directory with its routes."""
    url = urlsplit(system.gateway)
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": LISTENER,
        "address": {"socket_address": {"address": url.hostname, "port_value": url.port}},
        "per_connection_buffer_limit_bytes": 1 << 20,
        "enable_reuse_port": False,  # or a second gateway on this port would get half of the clients
        "filter_chains": [{"filters": [{"name": "http", "typed_config": _http(config, system, rds)}]}],
    }


def _http(config: Config, system: System, rds: Path) -> Resource:
    return {
        "@type": f"{EXTENSION}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STATS,
        "rds": {
            "route_config_name": ROUTES,
            "config_source": {
                "path_config_source": {"path": f"{rds / 'rds.json'}", "watched_directory": {"path": f"{rds}"}}
            },
        },
        # Who asks: the peer of the connection, and nobody is trusted to say otherwise. Envoy keeps
        # the request ids of "internal" peers; its versions differ in which those are, so: nobody is.
        "use_remote_address": True,
        "internal_address_config": {
            "cidr_ranges": [{"address_prefix": "0.0.0.0", "prefix_len": 32}]  # nosec B104 # a /32
        },
        "early_header_mutation_extensions": [
            {
                "name": "strip",
                "typed_config": {
                    "@type": f"{EXTENSION}http.early_header_mutation.header_mutation.v3.HeaderMutation",
                    "mutations": [
                        {
                            "remove_on_match": {
                                "key_matcher": {"safe_regex": {"regex": stripped(config.gateway)}}
                            }
                        },
                        *without_broken_trace(),
                    ],
                },
            }
        ],
        "generate_request_id": True,
        "always_set_request_id_in_response": True,
        # One path, one meaning, here and in Django.
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "idle_timeout": "75s",
            "max_headers_count": 100,
            # WSGI reads x_forwarded_for as x-forwarded-for.
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "max_request_headers_kb": 32,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "75s",
        "delayed_close_timeout": "1s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "server_header_transformation": "PASS_THROUGH",
        "access_log": [_access_log(system)],
        **tracing(config, system),
        "http_filters": _filters(config, system),
    }


def stripped(gateway: Gateway) -> str:
    """An expression for the names of request headers that are taken away; the tester's header stays."""
    names = []
    for prefix in _STRIPPED:
        if gateway.tester_header.startswith(prefix):
            names.append(prefix + _anything_but(gateway.tester_header.removeprefix(prefix)))
        else:
            names.append(f"{prefix}.*")
    return "|".join(names)


def _anything_but(word: str) -> str:
    """An expression for every text but `word`. RE2 has no look-ahead, so it branches at each letter."""
    branches = [f"{re.escape(word[:i])}([^{letter}].*)?" for i, letter in enumerate(word)]
    return f"({'|'.join([*branches, re.escape(word) + '.+'])})"


def _filters(config: Config, system: System) -> list[Resource]:
    filters = [_written(), _unsaid()]
    if config.gateway.exchange:
        filters.append(_exchange(config.gateway))
    if config.compare.sample > 0:
        # After the exchange: what is captured carries the identity that the home was shown.
        filters += [_capture(name, system) for name in config.reads]
    router = {"@type": f"{EXTENSION}filters.http.router.v3.Router", "suppress_envoy_headers": True}
    return [*filters, {"name": "router", "typed_config": router}]


def _written() -> Resource:
    """Keeps the position of the client's last write for the router, which hands it on as a header."""
    return {
        "name": "written",
        "typed_config": {
            "@type": f"{EXTENSION}filters.http.header_to_metadata.v3.Config",
            "request_rules": [
                {
                    "cookie": WRITTEN_COOKIE,
                    "on_header_present": {"metadata_namespace": METADATA, "key": "written", "type": "STRING"},
                }
            ],
        },
    }


def _unsaid() -> Resource:
    """Takes from answers what homes say to the gateway alone."""
    return {
        "name": "unsaid",
        "typed_config": {
            "@type": f"{EXTENSION}filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"response_mutations": [{"remove": BEHIND_HEADER}, {"remove": FENCED_HEADER}]},
        },
    }


def _exchange(gateway: Gateway) -> Resource:
    """Asks the owner for a token in exchange for the session.

    200 with an Authorization header: it goes upstream in place of the client's. 200 without: the session is
    nobody's, and the request goes on as it is. Any other answer is the client's answer. No answer: 503. Going
    on without a token would show a customer the stranger's page, and the comparison would call it a
    difference.
    """
    return {
        "name": EXCHANGE_FILTER,
        "disabled": True,
        "typed_config": {
            "@type": f"{EXTENSION}filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "stat_prefix": EXCHANGE_FILTER,
            "failure_mode_allow": False,
            "status_on_error": {"code": "ServiceUnavailable"},
            "allowed_headers": {
                "patterns": [
                    {"exact": name}
                    for name in (
                        *("cookie", "x-request-id", "x-forwarded-proto", "traceparent", "tracestate"),
                        *("x-csrftoken", "origin", "referer"),  # a session that writes has to show more
                    )
                ]
            },
            "disallowed_headers": {"patterns": [{"exact": "authorization"}]},
            "http_service": {
                "server_uri": {
                    "uri": f"http://{gateway.default}",
                    "cluster": gateway.default,
                    "timeout": f"{EXCHANGE_SECONDS}s",
                },
                "path_override": gateway.exchange,
                "authorization_response": {
                    "allowed_upstream_headers": {"patterns": [{"exact": "authorization"}]},
                    "allowed_client_headers": {
                        "patterns": [
                            {"exact": one} for one in ("content-type", "www-authenticate", "retry-after")
                        ]
                    },
                },
            },
        },
    }


def _capture(capability: str, system: System) -> Resource:
    return {
        "name": capture_filter(capability),
        "disabled": True,
        "typed_config": {
            "@type": f"{EXTENSION}filters.http.tap.v3.Tap",
            "record_headers_received_time": True,
            "common_config": {
                "static_config": {
                    "match": {"any_match": True},
                    "output_config": {
                        "max_buffered_rx_bytes": CAPTURED_BODY_BYTES,
                        "max_buffered_tx_bytes": CAPTURED_BODY_BYTES,
                        "sinks": [
                            {
                                "format": "JSON_BODY_AS_BYTES",
                                "file_per_tap": {"path_prefix": f"{system.capture_directory / capability}"},
                            }
                        ],
                    },
                }
            },
        },
    }


def access_log_path(system: System) -> Path:
    """Where a line is written for each request: no query string, since those carry what people typed."""
    return system.state / "logs" / "gateway-access.log"


def _access_log(system: System) -> Resource:
    fields = {
        "time": "%START_TIME%",
        "request": "%REQ(x-request-id)%",
        "trace": "%TRACE_ID%",
        "method": "%REQ(:method)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "home": f"%RESP({HOME_HEADER})%",
        "capability": f"%RESP({CAPABILITY_HEADER})%",
        "route": "%ROUTE_NAME%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "ms": "%DURATION%",
        "ms_first_byte": "%RESPONSE_DURATION%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "peer": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }
    return {
        "name": "file",
        "typed_config": {
            "@type": f"{EXTENSION}access_loggers.file.v3.FileAccessLog",
            "path": f"{access_log_path(system)}",
            "log_format": {"json_format": fields},
        },
    }
