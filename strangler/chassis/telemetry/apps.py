"""Registers telemetry with Django, and switches tracing on where the environment says whereto."""

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "strangler.chassis.telemetry"
    label = "strangler_telemetry"
    verbose_name = "Telemetry"

    def ready(self) -> None:
        from strangler.chassis.telemetry import tracing

        tracing.start()
