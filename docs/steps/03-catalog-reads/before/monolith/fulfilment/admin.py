"""Fulfilment in the admin: shipments with their parcels."""

from __future__ import annotations

from django.contrib import admin

from ..identity.admin import SupportMayLook
from .models import Parcel, Shipment


class ParcelInline(SupportMayLook, admin.TabularInline):
    model = Parcel
    autocomplete_fields = ["lines"]
    extra = 0


@admin.register(Shipment)
class ShipmentAdmin(SupportMayLook, admin.ModelAdmin):
    # entangled: the list of fulfilment shows ordering's orders, their buyers and the inventory's warehouses
    list_display = ["__str__", "order", "order__buyer", "warehouse", "state", "sent_at"]
    list_filter = ["state", "warehouse"]
    list_select_related = ["order__buyer", "warehouse"]
    search_fields = ["order__number", "order__buyer__username", "parcels__label"]
    autocomplete_fields = ["order", "warehouse"]
    date_hierarchy = "created_at"
    inlines = [ParcelInline]


@admin.register(Parcel)
class ParcelAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["label", "shipment", "shipment__order", "weight"]
    list_select_related = ["shipment__order"]
    search_fields = ["label", "shipment__order__number"]
    autocomplete_fields = ["shipment", "lines"]
