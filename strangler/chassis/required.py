"""Settings that nobody can guess: what a project is called, in tokens and in events."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def required(name: str) -> str:
    """A setting's value as text; ImproperlyConfigured where there is none."""
    if value := getattr(settings, name, ""):
        return str(value)
    raise ImproperlyConfigured(
        f"{name} isn't set. Give it the same value in every home, such as the name of the project."
    )
