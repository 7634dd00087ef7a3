"""Which trace the work in hand belongs to, so that what it announces and writes down does too.

W3C Trace Context is the truth on the wire, and `traceparent` of CloudEvents on an event. Everything here
works without OpenTelemetry too: then a handler's events go on with the trace of the event that it handles,
and there are no spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

try:
    from opentelemetry import trace as otel
    from opentelemetry.trace.propagation import tracecontext
except ImportError:  # the extra `telemetry` isn't installed
    otel = None  # type: ignore[assignment]

# What the standard takes: of version 00 four fields, of a later one perhaps more, never all zeros.
_VALID = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.{0,200})?"
)

# The x-request-id that the gateway gave; whoever takes a request in sets it.
request_id: ContextVar[str] = ContextVar("request_id", default="")
# The trace of the event that is being handled.
_handled: ContextVar[str | None] = ContextVar("traceparent", default=None)


class Event(Protocol):
    """What is needed to know of an event here."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def traceparent(self) -> str | None: ...


def is_valid(traceparent: str) -> bool:
    """Whether a header may be continued; one that may not is dropped, and a new trace begins."""
    found = _VALID.fullmatch(traceparent)
    return found is not None and not (found["version"] == "00" and found["more"])


def id_of(traceparent: str | None) -> str | None:
    """The trace's id in a valid header."""
    return traceparent.split("-")[1] if traceparent else None


def current() -> str | None:
    """The traceparent of the work in hand; None where it belongs to no trace."""
    ids = ids_of_now()
    return f"00-{ids[0]}-{ids[1]}-{ids[2]}" if ids else _handled.get()


def ids_of_now() -> tuple[str, str, str] | None:
    """Trace, span and flags of the span in hand, in hexadecimal."""
    if otel is None:
        return None
    now = otel.get_current_span().get_span_context()
    if not now.is_valid:
        return None
    return f"{now.trace_id:032x}", f"{now.span_id:016x}", f"{now.trace_flags:02x}"


def note_recorded(events: Mapping[str, str]) -> None:
    """Write on the span in hand that it announced these events: type by id."""
    if otel is None:
        return
    span = otel.get_current_span()
    if span.is_recording():
        for id, type in events.items():
            span.add_event("event recorded", {"messaging.message.id": id, "strangler.event.type": type})


@contextmanager
def handling(event: Event, subscription: str) -> Iterator[None]:
    """Let the block be the handling of an event: a span below the one that announced it."""
    token = _handled.set(event.traceparent)
    try:
        if otel is None:
            yield
            return
        with _tracer().start_as_current_span(
            f"handle {event.type}",
            context=_context(event.traceparent),
            kind=otel.SpanKind.CONSUMER,
            attributes=_of_event(event.id, event.type, "process")
            | {"messaging.consumer.group.name": subscription},
            record_exception=False,  # its message may tell of people
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                note_failure(span, error)
                raise
    finally:
        _handled.reset(token)


def publishing(type: str, headers: Mapping[str, str]) -> Any:
    """A span, begun, for an event that is on its way to the broker; None unless its trace is recorded."""
    found = _VALID.fullmatch(headers.get("ce-traceparent", ""))
    if otel is None or found is None or not int(found["flags"], 16) & 1:
        return None
    return _tracer().start_span(
        f"publish {type.rpartition('.v')[0]}",
        context=_context(found[0]),
        kind=otel.SpanKind.PRODUCER,
        attributes=_of_event(headers["ce-id"], type, "send"),
    )


def published(span: Any, *, refused: bool = False) -> None:
    """The broker's word on it has come."""
    if span is not None:
        if refused:
            span.set_status(otel.StatusCode.ERROR)
            span.set_attribute("error.type", "refused")
        span.end()


def note_failure(span: Any, error: BaseException) -> None:
    """Mark a span as failed, by the kind of the error alone."""
    span.set_status(otel.StatusCode.ERROR)
    span.set_attribute("error.type", type(error).__name__)


def _tracer() -> Any:
    return otel.get_tracer("strangler.chassis")


def _context(traceparent: str | None) -> Any:
    """The context of a parent elsewhere; an empty one, which starts a trace, without."""
    carrier = {"traceparent": traceparent} if traceparent else {}
    return tracecontext.TraceContextTextMapPropagator().extract(carrier)


def _of_event(id: str, type: str, operation: str) -> dict[str, str]:
    return {
        "messaging.message.id": id,
        "messaging.operation.type": operation,
        "strangler.event.type": type,
    }
