"""Takes a request in: continues its trace, counts it, and lets its log lines know it.

It stands behind the health middleware, whose probes are nobody's requests, and before everything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from opentelemetry import trace as otel
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from strangler.chassis import metrics, trace

METRICS = "/metrics"
_tracer = otel.get_tracer("strangler.chassis")
_propagator = TraceContextTextMapPropagator()


class TelemetryMiddleware:
    """Observes every request; answers /metrics, which the gateway keeps from the world."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == METRICS:
            return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)
        method = request.method if request.method in metrics.METHODS else "OTHER"
        token = trace.request_id.set(request.headers.get("x-request-id", "")[:100])
        began = time.perf_counter()
        try:
            with _tracer.start_as_current_span(
                method,
                # An empty context: what a thread did before is no part of this.
                context=_propagator.extract(
                    {
                        "traceparent": request.headers.get("traceparent", ""),
                        "tracestate": request.headers.get("tracestate", ""),
                    }
                ),
                kind=otel.SpanKind.SERVER,
                attributes={"http.request.method": method},
            ) as span:
                response = self._get_response(request)
                route = f"/{request.resolver_match.route}" if request.resolver_match else "unknown"
                if span.is_recording():
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                    span.set_attribute("http.response.status_code", response.status_code)
                    if response.status_code >= 500:
                        span.set_status(otel.StatusCode.ERROR)
                metrics.requests.labels(method, route, str(response.status_code)).inc()
                metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
                return response
        finally:
            trace.request_id.reset(token)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """What a view raised, by its kind; the answer is Django's."""
        otel.get_current_span().set_attribute("error.type", type(exception).__name__)
