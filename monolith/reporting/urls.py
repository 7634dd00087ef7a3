"""Addresses below /api/reporting/."""

from django.urls import path

from . import api

app_name = "reporting"
urlpatterns = [
    path("sales/", api.Sales.as_view(), name="sales"),
]
