"""Registers the context with Django under a label that is the same in every home."""

from django.apps import AppConfig


class FulfilmentConfig(AppConfig):
    name = __package__
    label = "fulfilment"
