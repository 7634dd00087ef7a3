"""Addresses below /api/payments/."""

from django.urls import path

from . import api

app_name = "payments"
urlpatterns = [
    path("payments/", api.PaymentViewSet.as_view({"get": "list"}), name="payments"),
    path("payments/<int:pk>/", api.PaymentViewSet.as_view({"get": "retrieve"}), name="payment"),
    path("payments/<int:pk>/refund/", api.PaymentViewSet.as_view({"post": "refund"}), name="refund"),
    path("webhooks/", api.Webhook.as_view(), name="webhooks"),
]
