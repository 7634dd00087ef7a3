"""Identity in the admin: people, their role, and whom they work for."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from ..ordering.models import Order
from .models import SellerStaff, User

admin.site.site_header = admin.site.site_title = "Garish Parts"
admin.site.index_title = "Behind the counter"


class SellerStaffInline(admin.TabularInline):
    model = SellerStaff
    autocomplete_fields = ["seller"]
    extra = 0


class OrderInline(admin.TabularInline):
    """entangled: an admin inline of identity over ordering's rows."""

    model = Order
    fields = ["number", "status", "total", "placed_at"]
    ordering = ["-id"]
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class AccountAdmin(UserAdmin):
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
class SellerStaffAdmin(admin.ModelAdmin):
    # entangled: identity's list shows and searches the catalog's sellers
    list_display = ["user", "seller"]
    list_select_related = ["user", "seller"]
    search_fields = ["user__username", "seller__name"]
    autocomplete_fields = ["user", "seller"]
