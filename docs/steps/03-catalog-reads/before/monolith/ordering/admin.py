"""Ordering in the admin: orders with all that hangs on them, notes, and who did what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.admin import GenericTabularInline
from django.db.models import QuerySet
from django.http import HttpRequest

from ..fulfilment.models import Shipment
from ..identity.admin import SupportMayLook
from ..inventory.models import Reservation
from ..payments.models import Payment
from .models import AuditEntry, Note, Order, OrderLine


class OrderLineInline(SupportMayLook, admin.TabularInline):
    model = OrderLine
    autocomplete_fields = ["product"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        return super().get_queryset(request).select_related("product")


class ReservationInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline of ordering over the inventory's rows."""

    model = Reservation
    autocomplete_fields = ["product", "warehouse"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reservation]:
        return super().get_queryset(request).select_related("product", "warehouse")


class PaymentInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline of ordering over payments' rows."""

    model = Payment
    fields = ["amount", "currency", "state", "reference", "changed_at"]
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ShipmentInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline of ordering over fulfilment's rows."""

    model = Shipment
    fields = ["warehouse", "state", "sent_at"]
    autocomplete_fields = ["warehouse"]
    extra = 0
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NoteInline(SupportMayLook, GenericTabularInline):
    model = Note
    autocomplete_fields = ["author"]
    extra = 0


@admin.register(Order)
class OrderAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["number", "buyer", "status", "total", "currency", "placed_at"]
    list_filter = ["status"]
    list_select_related = ["buyer"]
    # entangled: ordering's search joins identity's and the catalog's tables
    search_fields = ["number", "buyer__username", "buyer__email", "lines__product__sku"]
    date_hierarchy = "placed_at"
    autocomplete_fields = ["buyer"]
    readonly_fields = ["number", "placed_at"]
    inlines = [OrderLineInline, ReservationInline, PaymentInline, ShipmentInline, NoteInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an order's number comes from its reservation: only a checkout makes one


@admin.register(OrderLine)
class OrderLineAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["order", "product", "quantity", "unit_price", "order__status"]
    list_filter = ["order__status", "product__category__parent"]
    list_select_related = ["order", "product"]
    search_fields = ["order__number", "product__sku", "product__name"]
    autocomplete_fields = ["order", "product"]


@admin.register(Note)
class NoteAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["subject", "author", "text", "created_at"]
    list_filter = ["content_type"]
    list_select_related = ["author", "content_type"]
    search_fields = ["text", "author__username"]
    autocomplete_fields = ["author"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Note]:
        # entangled: a generic foreign key reaches into any context
        return super().get_queryset(request).prefetch_related("subject")


@admin.register(AuditEntry)
class AuditEntryAdmin(SupportMayLook, admin.ModelAdmin):
    """What was done stays done: nobody writes or changes an entry here."""

    list_display = ["at", "actor", "action", "subject"]
    list_filter = ["action", "content_type"]
    list_select_related = ["actor", "content_type"]
    search_fields = ["actor__username", "action"]
    date_hierarchy = "at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        # entangled: a generic foreign key reaches into any context
        return super().get_queryset(request).prefetch_related("subject")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
