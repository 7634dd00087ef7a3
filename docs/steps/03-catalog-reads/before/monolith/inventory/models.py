"""What lies where, and how much of it is promised to an order."""

from __future__ import annotations

from django.db import models


class Warehouse(models.Model):
    """A building with parts in it."""

    code = models.CharField(max_length=8, unique=True)
    name = models.CharField(max_length=120)

    def __str__(self) -> str:
        return self.name


class StockItem(models.Model):
    """How many pieces of a product lie in a warehouse, and how many of those are promised."""

    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="stock")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="stock")
    quantity = models.PositiveIntegerField(default=0)
    reserved = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["product", "warehouse"], name="inventory_stockitem_product_warehouse"
            ),
            models.CheckConstraint(
                condition=models.Q(reserved__lte=models.F("quantity")),
                name="inventory_stockitem_not_oversold",
            ),
        ]

    @property
    def available(self) -> int:
        return self.quantity - self.reserved


class Reservation(models.Model):
    """Pieces promised to an order until `expires_at`; the row goes when they are shipped or released."""

    order = models.ForeignKey(
        "ordering.Order", on_delete=models.CASCADE, null=True, related_name="reservations"
    )
    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="reservations")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="reservations")
    quantity = models.PositiveIntegerField()
    expires_at = models.DateTimeField(db_index=True)
