"""The Django application that has statements name their call sites."""

from __future__ import annotations

from django.apps import AppConfig


class CallsitesConfig(AppConfig):
    name = "strangler.chassis.callsites"
    label = "strangler_callsites"

    def ready(self) -> None:
        from strangler.chassis.callsites import marking

        marking.begin()
