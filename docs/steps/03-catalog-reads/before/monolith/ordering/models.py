"""What was bought, by whom, at what price; and what staff wrote down about anything at all."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Order(models.Model):
    """A buyer's purchase."""

    class Status(models.TextChoices):
        PLACED = "placed"
        SHIPPED = "shipped"
        DELIVERED = "delivered"
        CANCELLED = "cancelled"

    number = models.CharField(
        max_length=20, unique=True, help_text="Computed from the first reservation's key."
    )
    buyer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PLACED)
    total = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    currency = models.CharField(max_length=3, default="EUR")
    address = models.JSONField(help_text="name, street, postcode, city, country")
    placed_at = models.DateTimeField(auto_now_add=True)

    notes = GenericRelation("ordering.Note")

    class Meta:
        indexes = [models.Index(fields=["buyer", "-placed_at"], name="ordering_order_by_buyer")]

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    """One product of an order. It goes when the product goes: the foreign key cascades across contexts."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="order_lines")
    quantity = models.PositiveIntegerField()
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price


class Note(models.Model):
    """What staff wrote down about a row of any context."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    subject = GenericForeignKey("content_type", "object_id")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notes")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["content_type", "object_id"], name="ordering_note_by_subject")]


class AuditEntry(models.Model):
    """Who did what to a row of any context, and when."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    subject = GenericForeignKey("content_type", "object_id")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    action = models.CharField(max_length=40)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["content_type", "object_id"], name="ordering_audit_by_subject")]
