"""Addresses below /api/identity/."""

from django.urls import path

from . import api

app_name = "identity"
urlpatterns = [
    path("login/", api.Login.as_view(), name="login"),
    path("logout/", api.Logout.as_view(), name="logout"),
    path("token/", api.exchange, name="token"),
    path("token/<path:rest>", api.exchange),
    path("jwks.json", api.jwks, name="jwks"),
    path("me/", api.Me.as_view(), name="me"),
]
