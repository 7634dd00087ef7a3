"""Offers and vouchers, as the API shows them."""

from rest_framework import serializers

from .models import Offer, Voucher


class OfferSerializer(serializers.ModelSerializer[Offer]):
    sku = serializers.CharField(source="product.sku", read_only=True)
    name = serializers.CharField(source="product.name", read_only=True)
    price = serializers.DecimalField(max_digits=10, decimal_places=2, read_only=True)

    class Meta:
        model = Offer
        fields = ["id", "product", "sku", "name", "percent", "price", "ends_at"]


class VoucherSerializer(serializers.ModelSerializer[Voucher]):
    """With what it would take off the cart as it is now."""

    discount = serializers.DecimalField(max_digits=12, decimal_places=2, read_only=True)

    class Meta:
        model = Voucher
        fields = ["code", "percent", "minimum", "valid_until", "discount"]
