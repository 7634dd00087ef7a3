"""Addresses of the server-rendered pages: shop, cart, checkout, account. The views live in the contexts."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
