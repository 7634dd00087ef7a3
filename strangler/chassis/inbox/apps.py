"""Registers the inbox with Django, and finds the subscriptions in the applications' handlers.py."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class InboxConfig(AppConfig):
    name = "strangler.chassis.inbox"
    label = "strangler_inbox"
    verbose_name = "Inbox"

    def ready(self) -> None:
        autodiscover_modules("handlers")
