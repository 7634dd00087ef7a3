"""A span as the kit keeps it, and how OTLP brings it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from strangler.chassis.telemetry.discretion import allowed

Value = str | int | float | bool
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
LATEST = 2**63 - 1  # ns: the year 2262, and SQLite's largest integer
_FAILED = trace_pb2.Status.STATUS_CODE_ERROR


@dataclass(frozen=True)
class Happening:
    """Something that happened during a span; `at` in nanoseconds since 1970."""

    name: str
    at: int
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """One piece of work of one process. Ids are hexadecimal, `parent` is "" for none; times are in ns."""

    trace: str
    id: str
    parent: str
    process: str
    name: str
    kind: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Value] = field(default_factory=dict)
    events: tuple[Happening, ...] = ()

    @property
    def names(self) -> set[str]:
        """Other ids that lead to its trace: of the request, of messages."""
        found = {self.attributes.get("strangler.request.id"), self.attributes.get("messaging.message.id")}
        found |= {one.attributes.get("messaging.message.id") for one in self.events}
        return {str(one) for one in found if one}


def discreet(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """The same with what a span may tell, changed in place: an Envoy says more than anybody should keep."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                _keep_allowed(span.attributes)
                span.status.message = ""
                for event in span.events:
                    _keep_allowed(event.attributes)
    return request


def read(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """The spans of an export; not those of a clock so wrong that their times can't be kept."""
    for resource_spans in request.resource_spans:
        named = _values(resource_spans.resource.attributes)
        process = str(named.get("service.name", "unknown"))
        for scope_spans in resource_spans.scope_spans:
            for one in scope_spans.spans:
                if max(one.start_time_unix_nano, one.end_time_unix_nano) > LATEST:
                    continue
                attributes = _values(one.attributes)
                yield Span(
                    trace=one.trace_id.hex(),
                    id=one.span_id.hex(),
                    parent=one.parent_span_id.hex(),
                    process=process,
                    name=one.name,
                    kind=KINDS.get(one.kind, "internal"),
                    start=one.start_time_unix_nano,
                    end=max(one.start_time_unix_nano, one.end_time_unix_nano),
                    failed=_failed(one.status.code, attributes),
                    attributes=attributes,
                    events=tuple(
                        Happening(event.name, event.time_unix_nano, _values(event.attributes))
                        for event in one.events
                    ),
                )


def _failed(status: int, attributes: dict[str, Value]) -> bool:
    """Whether a span tells of a failure. Whoever asks calls a 404 one; here it is an answer."""
    answered = str(attributes.get("http.response.status_code", attributes.get("http.status_code", "")))
    if answered.startswith("4"):
        return False
    return status == _FAILED or attributes.get("error") == "true"


def _keep_allowed(attributes: Any) -> None:
    for place in reversed(range(len(attributes))):
        name = allowed(attributes[place].key)
        if name is None:
            del attributes[place]
        else:
            attributes[place].key = name


def _values(attributes: Any) -> dict[str, Value]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    found: Any = getattr(value, kind) if kind else ""
    return found if isinstance(found, str | int | float | bool) else str(found)
