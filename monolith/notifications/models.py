"""What the marketplace writes to people, and whether it has left."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Mail(models.Model):
    """A mail to somebody, about an order. It is queued with what it is about, and tried once.

    `tried_at` without `sent_at`: nobody knows whether it has left.
    """

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mails")
    # Ordering's key and number: the order may be gone by the time that a mail is about it.
    order_id = models.BigIntegerField(db_index=True)
    order_number = models.CharField(max_length=20, db_default="")
    event = models.UUIDField(null=True, editable=False, help_text="What it was queued for.")
    subject = models.CharField(max_length=160)
    text = models.TextField()
    queued_at = models.DateTimeField(auto_now_add=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["event", "recipient", "subject"], name="notifications_mail_once_for_an_event"
            )
        ]

    def __str__(self) -> str:
        return self.subject
