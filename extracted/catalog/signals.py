"""Keeps the catalog's counters as rows are saved."""

from __future__ import annotations

from typing import Any

from django.db.models import Avg, Count
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from .models import Product, Review


@receiver([post_save, post_delete], sender=Review)
def count_ratings(instance: Review, **kwargs: Any) -> None:
    rating = Review.objects.filter(product=instance.product_id).aggregate(
        average=Avg("rating"), count=Count("id")
    )
    # These columns alone: what somebody changes meanwhile stays changed.
    Product.objects.filter(pk=instance.product_id).update(
        rating_average=rating["average"], rating_count=rating["count"]
    )
