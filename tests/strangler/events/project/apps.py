"""Registers the shop with Django."""

from django.apps import AppConfig


class RugsConfig(AppConfig):
    name = "tests.strangler.events.project"
    label = "rugs"
