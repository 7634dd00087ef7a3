"""Tells the catalog whether a product is there, as stock rows are saved."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from ..catalog.models import Product
from .models import StockItem


@receiver([post_save, post_delete], sender=StockItem)
def mark_in_stock(instance: StockItem, **kwargs: Any) -> None:
    product = Product.objects.get(pk=instance.product_id)
    product.in_stock = product.stock.filter(quantity__gt=F("reserved")).exists()
    product.save()  # every column: a price that somebody changed in between goes back
