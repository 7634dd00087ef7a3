"""Products and what belongs to them, as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from .models import Category, Product, Review, Seller


class SellerSerializer(serializers.ModelSerializer[Seller]):
    class Meta:
        model = Seller
        fields = ["id", "name", "slug", "description", "country", "created_at"]


class SellerDetailSerializer(SellerSerializer):
    product_count = serializers.IntegerField(read_only=True)

    class Meta(SellerSerializer.Meta):
        fields = [*SellerSerializer.Meta.fields, "product_count"]


class CategorySerializer(serializers.ModelSerializer[Category]):
    parent = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Category
        fields = ["id", "name", "slug", "parent"]


class CategoryDetailSerializer(CategorySerializer):
    children = CategorySerializer(many=True, read_only=True)

    class Meta(CategorySerializer.Meta):
        fields = [*CategorySerializer.Meta.fields, "children"]


class SellerBriefSerializer(serializers.ModelSerializer[Seller]):
    class Meta:
        model = Seller
        fields = ["id", "name", "slug"]


class CategoryBriefSerializer(serializers.ModelSerializer[Category]):
    class Meta:
        model = Category
        fields = ["id", "name", "slug"]


class ProductSerializer(serializers.ModelSerializer[Product]):
    seller = SellerBriefSerializer(read_only=True)
    category = CategoryBriefSerializer(read_only=True)

    class Meta:
        model = Product
        fields = [
            "id",
            "sku",
            "slug",
            "name",
            "seller",
            "category",
            "status",
            "price",
            "currency",
            "in_stock",
            "units_sold",
            "rating_average",
            "rating_count",
        ]


class ProductDetailSerializer(ProductSerializer):
    class Meta(ProductSerializer.Meta):
        fields = [
            *ProductSerializer.Meta.fields,
            "description",
            "weight",
            "attributes",
            "created_at",
            "updated_at",
        ]


class ProductForStaffSerializer(ProductDetailSerializer):
    """With what the seller's staff, support and admins alone may see."""

    created_by = serializers.IntegerField(source="created_by_id", read_only=True, allow_null=True)

    class Meta(ProductDetailSerializer.Meta):
        fields = [*ProductDetailSerializer.Meta.fields, "created_by"]


class ProductWriteSerializer(serializers.ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = [
            "sku",
            "name",
            "description",
            "seller",
            "category",
            "status",
            "price",
            "currency",
            "weight",
            "attributes",
        ]

    def validate_attributes(self, value: Any) -> Any:
        if any("\0" in text for text in _texts(value)):  # PostgreSQL holds no such text, and would fail
            raise serializers.ValidationError("Null characters are not allowed.")
        return value


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value:
            yield from _texts(one)
        if isinstance(value, dict):
            yield from _texts(list(value.values()))


class ReviewSerializer(serializers.ModelSerializer[Review]):
    author = serializers.CharField(source="author_name", read_only=True)
    rating = serializers.IntegerField(min_value=1, max_value=5)

    class Meta:
        model = Review
        fields = ["id", "author", "rating", "text", "created_at"]
        read_only_fields = ["created_at"]
