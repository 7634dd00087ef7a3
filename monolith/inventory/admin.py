"""The inventory in the admin: warehouses, stock and reservations."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from .models import Reservation, StockItem, Warehouse


class ShortFilter(admin.SimpleListFilter):
    """Stock of which nothing is free."""

    title = "free pieces"
    parameter_name = "free"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "None"), ("some", "Some")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StockItem]) -> QuerySet[StockItem]:
        if self.value() == "none":
            return queryset.filter(quantity=F("reserved"))
        if self.value() == "some":
            return queryset.filter(quantity__gt=F("reserved"))
        return queryset


@admin.register(Warehouse)
class WarehouseAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["code", "name", "pieces"]
    search_fields = ["code", "name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Warehouse]:
        return super().get_queryset(request).annotate(pieces=Sum("stock__quantity"))

    @admin.display(ordering="pieces")
    def pieces(self, warehouse: Any) -> int:
        return warehouse.pieces or 0


@admin.register(StockItem)
class StockItemAdmin(SupportMayLook, admin.ModelAdmin):
    # entangled: the inventory's list shows and searches the catalog's products
    list_display = ["product", "product__sku", "warehouse", "quantity", "reserved", "available"]
    list_filter = ["warehouse", ShortFilter]
    list_select_related = ["product", "warehouse"]
    search_fields = ["product__sku", "product__name"]
    autocomplete_fields = ["product", "warehouse"]
    readonly_fields = ["reserved"]


@admin.register(Reservation)
class ReservationAdmin(SupportMayLook, admin.ModelAdmin):
    # entangled: the inventory's list shows ordering's orders and their buyers
    list_display = ["product", "warehouse", "quantity", "order", "order__buyer", "expires_at"]
    list_filter = ["warehouse", "order__status"]
    list_select_related = ["product", "warehouse", "order__buyer"]
    search_fields = ["product__sku", "order__number", "order__buyer__username"]
    autocomplete_fields = ["product", "warehouse", "order"]
