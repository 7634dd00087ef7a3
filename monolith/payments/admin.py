"""Payments in the admin: to look at. Money moves with its order, or by the API."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from .models import Payment, ProviderEvent


class ReadOnly(SupportMayLook):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ProviderEventInline(ReadOnly, admin.TabularInline):
    model = ProviderEvent
    readonly_fields = ["received_at"]
    extra = 0
    can_delete = False


@admin.register(Payment)
class PaymentAdmin(ReadOnly, admin.ModelAdmin):
    # entangled: the list of payments shows and searches ordering's orders and identity's people
    list_display = ["order", "payer", "amount", "currency", "state", "reference", "changed_at"]
    list_filter = ["state", "order__status"]
    list_select_related = ["order", "payer"]
    search_fields = ["reference", "order__number", "payer__username"]
    date_hierarchy = "created_at"
    inlines = [ProviderEventInline]


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["event", "kind", "payment", "received_at"]
    list_filter = ["kind"]
    list_select_related = ["payment"]
    search_fields = ["event", "payment__reference"]
