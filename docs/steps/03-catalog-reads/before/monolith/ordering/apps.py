"""Registers the context with Django under a label that is the same in every home."""

from django.apps import AppConfig


class OrderingConfig(AppConfig):
    name = __package__
    label = "ordering"

    def ready(self) -> None:
        from . import signals  # noqa: F401, connects the receivers
