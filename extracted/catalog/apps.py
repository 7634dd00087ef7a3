"""Registers the context with Django under a label that is the same in every home."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = __package__
    label = "catalog"

    def ready(self) -> None:
        from . import signals  # noqa: F401, connects the receivers
