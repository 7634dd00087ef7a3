"""Identity in the admin: people, their role, and whom they work for."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from ..ordering.models import Order
from .models import Role, SellerStaff, User


class SupportMayLook:
    """Support sees every row in the admin; to change one takes a right that is given by name.

    entangled: every context's admin asks identity's, and identity's shows ordering's orders
    """

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_support(request) or super().has_view_permission(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_support(request) or super().has_module_permission(request)


def _is_support(request: HttpRequest) -> bool:
    return request.user.is_authenticated and request.user.role == Role.SUPPORT


admin.site.site_header = admin.site.site_title = "Garish Parts"
admin.site.index_title = "Behind the counter"


class SellerStaffInline(SupportMayLook, admin.TabularInline):
    model = SellerStaff
    autocomplete_fields = ["seller"]
    extra = 0


class OrderInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline of identity over ordering's rows."""

    model = Order
    fields = ["number", "status", "total", "placed_at"]
    readonly_fields = ["placed_at"]
    ordering = ["-id"]
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class AccountAdmin(SupportMayLook, UserAdmin):
    list_display = ["username", "email", "display_name", "role", "order_count", "is_staff", "last_login"]
    list_filter = ["role", "is_staff", "is_superuser", "is_active"]
    fieldsets = (*UserAdmin.fieldsets, ("Marketplace", {"fields": ["role"]}))
    add_fieldsets = (*UserAdmin.add_fieldsets, ("Marketplace", {"fields": ["email", "role"]}))
    inlines = [SellerStaffInline, OrderInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        # entangled: identity's list counts ordering's rows
        return super().get_queryset(request).annotate(order_count=Count("orders"))

    @admin.display(description="orders", ordering="order_count")
    def order_count(self, user: Any) -> int:
        return user.order_count

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type[admin.TabularInline]]:
        return self.inlines if obj else []


@admin.register(SellerStaff)
class SellerStaffAdmin(SupportMayLook, admin.ModelAdmin):
    # entangled: identity's list shows and searches the catalog's sellers
    list_display = ["user", "seller"]
    list_select_related = ["user", "seller"]
    search_fields = ["user__username", "seller__name"]
    autocomplete_fields = ["user", "seller"]
