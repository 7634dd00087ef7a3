"""Keeps the catalog's counters, and the names of reviews' authors, as rows are saved."""

from __future__ import annotations

from typing import Any

from django.db.models import Avg, Count
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from .anticorruption import neighbours
from .models import Product, Review


@receiver(pre_save, sender=Review)
def keep_author_name(instance: Review, **kwargs: Any) -> None:
    if not isinstance(instance.author_name, str) or not instance.author_name:
        instance.author_name = neighbours.name_of(instance.author_id)


@receiver([post_save, post_delete], sender=Review)
def count_ratings(instance: Review, **kwargs: Any) -> None:
    rating = Review.objects.filter(product=instance.product_id).aggregate(
        average=Avg("rating"), count=Count("id")
    )
    # These columns alone: what somebody changes meanwhile stays changed.
    Product.objects.filter(pk=instance.product_id).update(
        rating_average=rating["average"], rating_count=rating["count"]
    )
