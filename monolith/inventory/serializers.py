"""Stock, as the API shows and takes it."""

from rest_framework import serializers

from .models import Reservation, StockItem


class StockItemSerializer(serializers.ModelSerializer[StockItem]):
    sku = serializers.CharField(source="product.sku", read_only=True)
    name = serializers.CharField(source="product.name", read_only=True)
    warehouse = serializers.SlugRelatedField(slug_field="code", read_only=True)

    class Meta:
        model = StockItem
        fields = ["id", "product", "sku", "name", "warehouse", "quantity", "reserved", "available"]
        read_only_fields = ["product", "reserved"]

    def validate_quantity(self, quantity: int) -> int:
        if self.instance is not None and quantity < self.instance.reserved:
            raise serializers.ValidationError(f"{self.instance.reserved} pieces are promised to orders.")
        return quantity


class ReservationSerializer(serializers.ModelSerializer[Reservation]):
    order = serializers.CharField(source="order.number", read_only=True)
    buyer = serializers.CharField(source="order.buyer.username", read_only=True)
    warehouse = serializers.SlugRelatedField(slug_field="code", read_only=True)

    class Meta:
        model = Reservation
        fields = ["id", "order", "buyer", "product", "warehouse", "quantity", "expires_at"]
