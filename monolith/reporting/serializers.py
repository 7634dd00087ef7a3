"""Reports, as the API shows them."""

from typing import Any

from rest_framework import serializers


class DaysSerializer(serializers.Serializer[None]):
    since = serializers.DateField()
    until = serializers.DateField()

    def validate(self, days: dict[str, Any]) -> dict[str, Any]:
        if days["since"] > days["until"]:
            raise serializers.ValidationError({"until": "The last day lies before the first."})
        return days


class SalesSerializer(serializers.Serializer[dict[str, Any]]):
    seller = serializers.IntegerField()
    name = serializers.CharField()
    order_count = serializers.IntegerField()
    pieces = serializers.IntegerField()
    gross = serializers.DecimalField(max_digits=14, decimal_places=2)
    discount = serializers.DecimalField(max_digits=14, decimal_places=2)
    captured = serializers.DecimalField(max_digits=14, decimal_places=2)
