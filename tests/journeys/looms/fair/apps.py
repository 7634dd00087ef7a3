from django.apps import AppConfig


class FairConfig(AppConfig):
    name = __package__
    label = "fair"
