"""Registers the outbox with Django."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "strangler.chassis.outbox"
    label = "strangler_outbox"
    verbose_name = "Outbox"
