"""Reporting in the admin, to look at: the summed-up days, and what is known of others."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from .models import DailySales, KnownLine, KnownOrder, KnownPayment, KnownProduct, KnownSeller


class ReadOnly(SupportMayLook, admin.ModelAdmin):
    """Written by events and by the clock alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(DailySales)
class DailySalesAdmin(ReadOnly):
    list_display = ["day", "seller", "orders", "pieces", "gross", "discount"]
    list_select_related = ["seller"]
    search_fields = ["seller__name"]
    date_hierarchy = "day"


@admin.register(KnownSeller)
class KnownSellerAdmin(ReadOnly):
    list_display = ["name", "gone"]
    search_fields = ["name"]


@admin.register(KnownProduct)
class KnownProductAdmin(ReadOnly):
    list_display = ["sku", "name", "seller", "price", "currency", "gone"]
    list_select_related = ["seller"]
    search_fields = ["sku", "name"]


@admin.register(KnownOrder)
class KnownOrderAdmin(ReadOnly):
    list_display = ["number", "placed_at", "total", "discount", "cancelled"]
    list_filter = ["cancelled"]
    search_fields = ["number"]
    date_hierarchy = "placed_at"


@admin.register(KnownLine)
class KnownLineAdmin(ReadOnly):
    list_display = ["order", "product", "quantity", "unit_price"]
    list_select_related = ["order", "product"]


@admin.register(KnownPayment)
class KnownPaymentAdmin(ReadOnly):
    list_display = ["order", "captured"]
    list_filter = ["captured"]
    list_select_related = ["order"]
