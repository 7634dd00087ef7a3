"""The names that the rendered files share: types, headers, clusters, filters."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]

TYPE = "type.googleapis.com/envoy."
EXTENSION = TYPE + "extensions."

LISTENER = ROUTES = STATS = "edge"
TELEMETRY = "telemetry"  # the cluster of whoever takes spans
EXCHANGE_FILTER = "exchange"

HOME_HEADER = "x-strangler-home"  # who answered; Envoy reads it from the endpoint that did
TRACE_HEADER = "x-trace-id"  # of the answer's trace: what `strangler trace` takes
CAPABILITY_HEADER = "x-strangler-capability"
CANARY_COOKIE = "strangler-canary"  # given to callers who show nothing else to be recognised by
METADATA = "strangler"  # the namespace of an endpoint's metadata, and of a request's

# The position of a client's last write, and what a home answers that lacks it (strangler.chassis.freshness).
WRITTEN_COOKIE, WRITTEN_HEADER = "strangler-written", "x-written"
BEHIND_HEADER = "x-strangler-behind"
FENCED_HEADER = "x-strangler-fenced"  # what a home answers that refused a write, and did nothing


def capture_filter(capability: str) -> str:
    """The tap that captures a capability's requests; the listener has one for each."""
    return f"capture/{capability}"


def owner_of(capability: str) -> str:
    """The cluster that has the address of whoever owns the capability's rows."""
    return f"owner of {capability}"


def with_fallback(home: str, owner: str) -> str:
    """The cluster that asks `home`, and `owner` where that one is down."""
    return f"{home}-else-{owner}"
