"""What was sold, summed up by day and seller, so that yesterday needn't be joined again."""

from __future__ import annotations

from django.db import models


class DailySales(models.Model):
    """One seller's day. Written by the nightly task alone, which may write it again."""

    day = models.DateField()
    seller = models.ForeignKey("catalog.Seller", on_delete=models.CASCADE, related_name="daily_sales")
    orders = models.PositiveIntegerField()
    pieces = models.PositiveIntegerField()
    gross = models.DecimalField(
        max_digits=14, decimal_places=2, help_text="At the prices of the orders' lines."
    )
    discount = models.DecimalField(
        max_digits=14, decimal_places=2, help_text="What vouchers took off, shared out by the lines' amounts."
    )

    class Meta:
        verbose_name_plural = "daily sales"
        constraints = [
            models.UniqueConstraint(fields=["day", "seller"], name="reporting_dailysales_day_seller")
        ]
