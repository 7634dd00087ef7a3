"""What is for sale: sellers, categories, products, and what buyers say about them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.text import slugify


class Seller(models.Model):
    """A shop in the marketplace."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    country = models.CharField(max_length=2)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Category(models.Model):
    """A shelf; shelves stand in a tree of two levels."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )

    class Meta:
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """One part for sale; only an active one is seen by everybody."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        RETIRED = "retired"

    sku = models.CharField(max_length=40, unique=True)
    slug = models.SlugField(max_length=160)
    name = models.CharField(max_length=160)
    description = models.TextField(blank=True)
    seller = models.ForeignKey(Seller, on_delete=models.CASCADE, related_name="products")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.DRAFT)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3, default="EUR")
    weight = models.DecimalField(max_digits=8, decimal_places=3, help_text="In kilograms.")
    attributes = models.JSONField(default=dict, blank=True)
    # Counters; what the first two count is told by other contexts' events.
    in_stock = models.BooleanField(default=False)
    units_sold = models.PositiveIntegerField(default=0)
    rating_average = models.DecimalField(max_digits=3, decimal_places=2, null=True, blank=True)
    rating_count = models.PositiveIntegerField(default=0)
    created_by_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["status", "price", "id"], name="catalog_product_by_price"),
            models.Index(fields=["status", "name", "id"], name="catalog_product_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.slug:
            self.slug = slugify(self.name)[:160]
        super().save(*args, **kwargs)


class Watch(models.Model):
    """A product on somebody's wishlist."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="watches")
    user_id = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "catalog_product_watchers"
        verbose_name_plural = "watches"
        unique_together = [("product", "user_id")]


class Review(models.Model):
    """A buyer's opinion of a product; one per buyer and product."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="reviews")
    author_id = models.BigIntegerField(db_index=True)
    # The name as it was when the review was written: the catalog doesn't ask who somebody is today.
    author_name = models.CharField(max_length=310, db_default="", blank=True, editable=False)
    rating = models.PositiveSmallIntegerField()
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "author_id"], name="catalog_review_product_author"),
            models.CheckConstraint(condition=models.Q(rating__range=(1, 5)), name="catalog_review_rating"),
        ]
