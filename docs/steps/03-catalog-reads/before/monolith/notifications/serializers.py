"""Mails, as the API shows them."""

from rest_framework import serializers

from .models import Mail


class MailSerializer(serializers.ModelSerializer[Mail]):
    recipient = serializers.CharField(source="recipient.username", read_only=True)
    order = serializers.CharField(source="order.number", read_only=True)

    class Meta:
        model = Mail
        fields = ["id", "recipient", "order", "subject", "text", "queued_at", "sent_at"]
