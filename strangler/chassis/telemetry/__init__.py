"""Telemetry: spans, metrics and the ids that join them to the log, of one process.

    INSTALLED_APPS += ["strangler.chassis.telemetry"]
    MIDDLEWARE = ["strangler.chassis.health.HealthMiddleware",
                  "strangler.chassis.telemetry.middleware.TelemetryMiddleware", ...]

It needs the extra `telemetry`. Spans go by OTLP to OTEL_EXPORTER_OTLP_ENDPOINT; without that variable, or
with OTEL_SDK_DISABLED=true, there are none. OTEL_SERVICE_NAME names the process, OTEL_TRACES_SAMPLER_ARG is
the share of the traces that are kept, of those that begin here.
"""
