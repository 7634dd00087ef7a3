"""Addresses below /api/notifications/."""

from django.urls import path

from . import api

app_name = "notifications"
urlpatterns = [
    path("mails/", api.MailViewSet.as_view({"get": "list"}), name="mails"),
    path("mails/<int:pk>/", api.MailViewSet.as_view({"get": "retrieve"}), name="mail"),
]
