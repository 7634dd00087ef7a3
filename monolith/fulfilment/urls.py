"""Addresses below /api/fulfilment/."""

from django.urls import path

from . import api

app_name = "fulfilment"
urlpatterns = [
    path("shipments/", api.ShipmentViewSet.as_view({"get": "list"}), name="shipments"),
    path("shipments/<int:pk>/", api.ShipmentViewSet.as_view({"get": "retrieve"}), name="shipment"),
    path(
        "shipments/<int:pk>/delivered/", api.ShipmentViewSet.as_view({"post": "delivered"}), name="delivered"
    ),
]
