"""Addresses below /api/promotions/."""

from django.urls import path

from . import api

app_name = "promotions"
urlpatterns = [
    path("offers/", api.OfferViewSet.as_view({"get": "list"}), name="offers"),
    path("offers/<int:pk>/", api.OfferViewSet.as_view({"get": "retrieve"}), name="offer"),
    path("vouchers/<slug:code>/", api.CheckVoucher.as_view(), name="voucher"),
]
