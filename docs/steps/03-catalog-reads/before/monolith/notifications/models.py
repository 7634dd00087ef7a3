"""What the marketplace writes to people, and whether it has left."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Mail(models.Model):
    """A mail to somebody, about an order. It is queued with what it is about, and sent by a worker."""

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mails")
    order = models.ForeignKey("ordering.Order", on_delete=models.CASCADE, related_name="mails")
    subject = models.CharField(max_length=160)
    text = models.TextField()
    queued_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.subject
