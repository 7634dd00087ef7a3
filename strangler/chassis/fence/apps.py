"""The Django application that watches every connection for a fence."""

from __future__ import annotations

from django.apps import AppConfig


class FenceConfig(AppConfig):
    name = "strangler.chassis.fence"
    label = "strangler_fence"

    def ready(self) -> None:
        from strangler.chassis.fence import footprint, watching

        watching.begin()
        footprint.begin()
