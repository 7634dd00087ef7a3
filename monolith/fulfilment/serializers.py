"""Shipments, as the API shows them."""

from rest_framework import serializers

from .models import Parcel, Shipment


class ParcelSerializer(serializers.ModelSerializer[Parcel]):
    class Meta:
        model = Parcel
        fields = ["id", "label", "weight"]


class ShipmentSerializer(serializers.ModelSerializer[Shipment]):
    order = serializers.CharField(source="order.number", read_only=True)
    warehouse = serializers.CharField(source="warehouse.code", read_only=True)
    parcels = ParcelSerializer(many=True, read_only=True)

    class Meta:
        model = Shipment
        fields = ["id", "order", "warehouse", "state", "address", "created_at", "sent_at", "parcels"]
