"""How an order gets to its buyer: a shipment from each warehouse, in parcels with a carrier's label."""

from __future__ import annotations

from django.db import models


class Shipment(models.Model):
    """What one warehouse sends for an order."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        DELIVERED = "delivered"
        CALLED_OFF = "called_off", "Called off"

    order = models.ForeignKey("ordering.Order", on_delete=models.CASCADE, related_name="shipments")
    warehouse = models.ForeignKey("inventory.Warehouse", on_delete=models.PROTECT, related_name="shipments")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    address = models.JSONField(help_text="name, street, postcode, city, country; as the order has it")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "warehouse"], name="fulfilment_shipment_order_warehouse")
        ]

    def __str__(self) -> str:
        return f"Shipment {self.pk}"


class Parcel(models.Model):
    """A box with a label on it."""

    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="parcels")
    lines = models.ManyToManyField("ordering.OrderLine", related_name="parcels")
    weight = models.DecimalField(max_digits=10, decimal_places=3, help_text="In kilograms.")
    label = models.CharField(
        max_length=20, null=True, blank=True, unique=True, help_text="The carrier's number; empty: none yet."
    )
