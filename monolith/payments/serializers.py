"""Payments, as the API shows them, and webhooks, as the provider sends them."""

from rest_framework import serializers

from .models import Payment


class PaymentSerializer(serializers.ModelSerializer[Payment]):
    order = serializers.CharField(source="order.number", read_only=True)
    payer = serializers.CharField(source="payer.username", read_only=True)

    class Meta:
        model = Payment
        fields = ["id", "order", "payer", "amount", "currency", "state", "created_at", "changed_at"]


class WebhookSerializer(serializers.Serializer[None]):
    id = serializers.CharField(max_length=40)
    type = serializers.CharField(max_length=40)
    payment = serializers.CharField(max_length=40)
