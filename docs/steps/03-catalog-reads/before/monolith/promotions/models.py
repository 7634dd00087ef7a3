"""What makes an order cheaper: vouchers that people type in, and offers that a product carries."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

CENT = Decimal("0.01")


class Voucher(models.Model):
    """A code that takes some percent off an order, so many times in all and so many times for each buyer."""

    code = models.CharField(max_length=24, unique=True)
    percent = models.PositiveSmallIntegerField()
    minimum = models.DecimalField(
        max_digits=10, decimal_places=2, default=Decimal(0), help_text="What an order must come to."
    )
    limit = models.PositiveIntegerField(null=True, blank=True, help_text="Redemptions in all; empty: any.")
    limit_per_buyer = models.PositiveIntegerField(default=1)
    redeemed = models.PositiveIntegerField(default=0)
    buyers = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="vouchers", help_text="Empty: everybody."
    )
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(percent__range=(1, 100)), name="promotions_voucher_percent"),
            models.CheckConstraint(
                condition=Q(limit=None) | Q(redeemed__lte=F("limit")), name="promotions_voucher_within_limit"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.code = self.code.upper()  # however it is typed in, it is found
        super().save(*args, **kwargs)

    def discount_on(self, total: Decimal) -> Decimal:
        """What it takes off `total`, in whole cents."""
        return (total * self.percent / 100).quantize(CENT)


class Redemption(models.Model):
    """A voucher that an order has used; the row goes when the order is cancelled."""

    voucher = models.ForeignKey(Voucher, on_delete=models.PROTECT, related_name="redemptions")
    order = models.OneToOneField("ordering.Order", on_delete=models.CASCADE, related_name="redemption")
    buyer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="redemptions")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    redeemed_at = models.DateTimeField(auto_now_add=True)


class Offer(models.Model):
    """Some percent off a product for a while, for so many pieces."""

    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="offers")
    percent = models.PositiveSmallIntegerField()
    limit = models.PositiveIntegerField(null=True, blank=True, help_text="Pieces in all; empty: any.")
    sold = models.PositiveIntegerField(default=0)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(percent__range=(1, 99)), name="promotions_offer_percent"),
            models.CheckConstraint(
                condition=Q(limit=None) | Q(sold__lte=F("limit")), name="promotions_offer_within_limit"
            ),
        ]

    @property
    def price(self) -> Decimal:
        """The product's price with the offer, in whole cents."""
        return (self.product.price * (100 - self.percent) / 100).quantize(CENT)
