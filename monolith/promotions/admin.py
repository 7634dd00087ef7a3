"""Promotions in the admin: vouchers with what was redeemed of them, and offers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from .models import Offer, Redemption, Voucher


@admin.register(Voucher)
class VoucherAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["code", "percent", "minimum", "redeemed", "limit", "valid_from", "valid_until"]
    search_fields = ["code"]
    date_hierarchy = "valid_from"
    autocomplete_fields = ["buyers"]
    readonly_fields = ["redeemed"]


@admin.register(Redemption)
class RedemptionAdmin(SupportMayLook, admin.ModelAdmin):
    """A checkout redeems a voucher; nobody does it here."""

    # entangled: the list of promotions shows and searches ordering's orders and identity's people
    list_display = ["voucher", "order", "buyer", "amount", "redeemed_at"]
    list_select_related = ["voucher", "order", "buyer"]
    search_fields = ["voucher__code", "order__number", "buyer__username"]
    autocomplete_fields = ["voucher", "order", "buyer"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Offer)
class OfferAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["product", "percent", "sold", "limit", "starts_at", "ends_at"]
    list_select_related = ["product"]
    search_fields = ["product__sku", "product__name"]
    autocomplete_fields = ["product"]
    readonly_fields = ["sold"]
