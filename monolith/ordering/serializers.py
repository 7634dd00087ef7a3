"""Carts, orders and notes, as the API shows and takes them."""

from typing import Any

from rest_framework import serializers

from .anticorruption import Article
from .models import Note, Order, OrderLine
from .selectors import CartLine


class ArticleSerializer(serializers.Serializer[Article]):
    """An article as the catalog shows it."""

    def to_representation(self, article: Article) -> Any:
        return article.card


class CartLineSerializer(serializers.Serializer[CartLine]):
    product = ArticleSerializer(source="article", read_only=True)
    quantity = serializers.IntegerField(min_value=0, max_value=999)
    amount = serializers.DecimalField(max_digits=12, decimal_places=2, read_only=True)


class CartSerializer(serializers.Serializer[dict[str, Any]]):
    lines = CartLineSerializer(many=True, read_only=True)
    total = serializers.DecimalField(max_digits=12, decimal_places=2, read_only=True)


class BoughtProductSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(read_only=True)
    sku = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    product = BoughtProductSerializer(read_only=True)

    class Meta:
        model = OrderLine
        fields = ["id", "product", "quantity", "unit_price"]


class AddressSerializer(serializers.Serializer[dict[str, str]]):
    name = serializers.CharField(max_length=120)
    street = serializers.CharField(max_length=120)
    postcode = serializers.CharField(max_length=12)
    city = serializers.CharField(max_length=80)
    country = serializers.RegexField(
        "^[A-Z]{2}$", error_messages={"invalid": "Two capital letters, like DE."}
    )


class OrderSerializer(serializers.ModelSerializer[Order]):
    buyer = serializers.CharField(source="buyer.username", read_only=True)
    lines = OrderLineSerializer(many=True, read_only=True)
    address = AddressSerializer()
    voucher = serializers.CharField(max_length=24, required=False, allow_blank=True, write_only=True)

    class Meta:
        model = Order
        fields = [
            "id",
            "number",
            "buyer",
            "status",
            "total",
            "currency",
            "address",
            "placed_at",
            "lines",
            "voucher",
        ]
        read_only_fields = ["number", "status", "total", "currency", "placed_at"]


class NoteSerializer(serializers.ModelSerializer[Note]):
    author = serializers.CharField(source="author.username", read_only=True)

    class Meta:
        model = Note
        fields = ["id", "author", "text", "created_at"]
        read_only_fields = ["created_at"]


class PurchaseSerializer(serializers.Serializer[Any]):
    article = serializers.IntegerField()
    bought = serializers.BooleanField()
