"""Keeps the catalog's counters as rows are saved."""

from __future__ import annotations

from typing import Any

from django.db.models import Avg, Count
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from .models import Review


@receiver([post_save, post_delete], sender=Review)
def count_ratings(instance: Review, **kwargs: Any) -> None:
    product = instance.product
    rating = product.reviews.aggregate(average=Avg("rating"), count=Count("id"))
    product.rating_average, product.rating_count = rating["average"], rating["count"]
    product.save()
