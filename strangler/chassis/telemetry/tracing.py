"""Makes spans of a process's work and sends them off, in batches, beside it.

A trace begins where work comes in: with a request, a task, an event. A query or a call that belongs to no
trace begins none, or every look that a relay takes at its outbox would be one.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db.backends.signals import connection_created
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from strangler.chassis.telemetry.discretion import allowed
from strangler.chassis.trace import note_failure

SEND_WITHIN = 2.0  # seconds; a receiver that takes longer loses these spans, and nobody waits for it
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(\w+)')
_WORK_COMES_IN = {SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.PRODUCER}

_tracer = trace.get_tracer("strangler.chassis")


def start(environment: Mapping[str, str] = os.environ) -> bool:
    """Switch tracing on, once in a process; False where the environment names no receiver."""
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    if not endpoint or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    share = float(environment.get("OTEL_TRACES_SAMPLER_ARG") or 1)
    provider = TracerProvider(sampler=ParentBased(root=WhereWorkComesIn(share)))
    exporter = Discreet(OTLPSpanExporter(timeout=SEND_WITHIN))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    set_global_textmap(TraceContextTextMapPropagator())  # no baggage: it would travel to whoever is called
    # A receiver that is away is no news of this process.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    connection_created.connect(_watch_queries, dispatch_uid="strangler telemetry")
    _instrument_libraries()
    return True


class WhereWorkComesIn(Sampler):
    """Samples a share of the traces that may begin, and none of those that may not."""

    def __init__(self, share: float) -> None:
        self._share = TraceIdRatioBased(share)

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *rest: Any,
        **more: Any,
    ) -> SamplingResult:
        if kind not in _WORK_COMES_IN:
            return SamplingResult(Decision.DROP)
        return self._share.should_sample(parent_context, trace_id, name, kind, *rest, **more)

    def get_description(self) -> str:
        return f"WhereWorkComesIn{{{self._share.rate}}}"


class Discreet(SpanExporter):
    """Passes spans on with what they may tell, and nothing else."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _discreet(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_passing(span.attributes),
        events=[Event(one.name, _passing(one.attributes), one.timestamp) for one in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _passing(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    named = ((allowed(name), value) for name, value in (attributes or {}).items())
    return {name: value for name, value in named if name}


# ── Where spans come from, besides the middleware and the chassis' events ────────────────────────


def _watch_queries(connection: Any, **_: Any) -> None:
    if trace_query not in connection.execute_wrappers:
        connection.execute_wrappers.append(trace_query)


def trace_query(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
) -> Any:
    """A span for a statement of Django's, if anything asked for it: its verb and its first table."""
    if not trace.get_current_span().is_recording():
        return execute(sql, params, many, context)
    verb, table = _named(str(sql)[:4000])
    attributes = {"db.system.name": context["connection"].vendor, "db.operation.name": verb}
    if table:
        attributes["db.collection.name"] = table
    with _tracer.start_as_current_span(
        f"{verb} {table}".rstrip(),
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            note_failure(span, error)
            raise


@lru_cache(maxsize=500)
def _named(sql: str) -> tuple[str, str]:
    """A statement's verb and the first table in it, as far as one sees without parsing."""
    table = _TABLE.search(sql)
    return (sql.lstrip(" \n\t(").split(maxsplit=1) or ["SQL"])[0].upper()[:20], table[1] if table else ""


def _instrument_libraries() -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    HTTPXClientInstrumentor().instrument()
    try:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor
    except ImportError:  # a service without tasks
        return
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
