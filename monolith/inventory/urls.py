"""Addresses below /api/inventory/."""

from django.urls import path

from . import api

app_name = "inventory"
urlpatterns = [
    path("stock/", api.StockViewSet.as_view({"get": "list"}), name="stock"),
    path(
        "stock/<int:pk>/",
        api.StockViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="stock-item",
    ),
    path("reservations/", api.ReservationViewSet.as_view({"get": "list"}), name="reservations"),
    path("availability/<int:pk>/", api.Availability.as_view(), name="availability"),
]
