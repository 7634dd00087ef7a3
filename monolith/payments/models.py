"""What an order costs its buyer, how far that money has come, and what the provider has told us about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Payment(models.Model):
    """An order's money. Without a provider it is on account: it is settled outside of the marketplace."""

    class State(models.TextChoices):
        ON_ACCOUNT = "on_account", "On account"
        AUTHORISED = "authorised"
        CAPTURED = "captured"
        REFUNDED = "refunded"

    order = models.OneToOneField("ordering.Order", on_delete=models.CASCADE, related_name="payment")
    payer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="payments")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ON_ACCOUNT)
    reference = models.CharField(
        max_length=40,
        null=True,
        blank=True,
        unique=True,
        help_text="The provider's own key; empty: on account.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}, {self.get_state_display().lower()}"


class ProviderEvent(models.Model):
    """A webhook as it came in; the provider repeats itself, and each event counts once."""

    event = models.CharField(max_length=40, unique=True, help_text="The provider's own key.")
    kind = models.CharField(max_length=40)
    payment = models.ForeignKey(Payment, on_delete=models.CASCADE, related_name="events")
    received_at = models.DateTimeField(auto_now_add=True)
