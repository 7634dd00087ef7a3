"""What a process's environment says of traces: OpenTelemetry's variables, which any language reads."""

from __future__ import annotations

from strangler.config import Config
from strangler.run.system import System


def environment(config: Config, system: System) -> dict[str, str]:
    """Where spans go and how many; nothing where nobody takes them."""
    if not system.telemetry:
        return {}
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": system.telemetry,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(config.telemetry.sample),
    }
