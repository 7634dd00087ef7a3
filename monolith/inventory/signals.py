"""Announces how many pieces of a product are free, as its stock rows are saved and deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Sum
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from strangler.chassis import outbox

from . import events
from .models import StockItem


@receiver([post_save, post_delete], sender=StockItem)
def announce_stock(instance: StockItem, **kwargs: Any) -> None:
    # Another item of the product may be changed at the same time: whoever counts second counts both.
    outbox.hold(events.StockChanged(instance.product_id, 0).key)
    items = StockItem.objects.filter(product=instance.product_id)
    available = items.aggregate(free=Sum(F("quantity") - F("reserved")))["free"] or 0
    outbox.record(events.StockChanged(instance.product_id, available))
