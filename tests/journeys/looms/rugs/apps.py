from django.apps import AppConfig


class RugsConfig(AppConfig):
    name = __package__
    label = "rugs"
