"""What was sold, as far as it was announced, and summed up by day and seller.

The rows of Known… hold what reporting uses of others' events. Their keys are the owners'. Between rows that
are announced apart from each other there are no constraints: events of two keys come in no order.
"""

from __future__ import annotations

from django.db import models


class KnownSeller(models.Model):
    """A seller of the catalog. One that is gone stays, without sales."""

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=120)
    gone = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


class KnownProduct(models.Model):
    """A product of the catalog. One that is gone stays, and its lines count no more."""

    id = models.BigIntegerField(primary_key=True)
    sku = models.CharField(max_length=40)
    name = models.CharField(max_length=160)
    seller = models.ForeignKey(
        KnownSeller, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="products"
    )
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    currency = models.CharField(max_length=3)
    gone = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


class KnownOrder(models.Model):
    """An order of ordering's; one that was cancelled doesn't count."""

    id = models.BigIntegerField(primary_key=True)
    number = models.CharField(max_length=20)
    placed_at = models.DateTimeField(db_index=True)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    discount = models.DecimalField(
        max_digits=12, decimal_places=2, help_text="What a voucher took off before."
    )
    cancelled = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.number


class KnownLine(models.Model):
    """One product of an order."""

    id = models.BigIntegerField(primary_key=True)
    order = models.ForeignKey(KnownOrder, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(
        KnownProduct, on_delete=models.DO_NOTHING, db_constraint=False, related_name="lines"
    )
    quantity = models.PositiveIntegerField()
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)


class KnownPayment(models.Model):
    """How far an order's money has come."""

    order = models.OneToOneField(
        KnownOrder,
        primary_key=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="payment",
    )
    captured = models.BooleanField()


class DailySales(models.Model):
    """One seller's day. Written by the nightly task alone, which may write it again."""

    day = models.DateField()
    seller = models.ForeignKey(
        KnownSeller, on_delete=models.DO_NOTHING, db_constraint=False, related_name="daily_sales"
    )
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
