"""The catalog in the admin: sellers, shelves, products with all that hangs on them, and reviews."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from ..identity.models import SellerStaff
from ..inventory.models import StockItem
from ..ordering.models import OrderLine
from .models import Category, Product, Review, Seller


class ReadOnlyInline(SupportMayLook, admin.TabularInline):
    """Rows to look at; they are changed on a page of their own."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SellerStaffInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline of the catalog over identity's rows."""

    model = SellerStaff
    autocomplete_fields = ["user"]
    extra = 0


class StockItemInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline of the catalog over the inventory's rows."""

    model = StockItem
    extra = 0
    readonly_fields = ["reserved"]


class OrderLineInline(ReadOnlyInline):
    """entangled: an admin inline of the catalog over ordering's rows."""

    model = OrderLine
    fields = ["order", "quantity", "unit_price"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        return super().get_queryset(request).select_related("order").order_by("-id")


class ReviewInline(ReadOnlyInline):
    """entangled: an admin inline that shows identity's people beside the catalog's reviews."""

    model = Review
    fields = ["author", "rating", "text", "created_at"]
    readonly_fields = ["created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return super().get_queryset(request).select_related("author").order_by("-id")


@admin.register(Seller)
class SellerAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["name", "slug", "country", "product_count", "created_at"]
    list_filter = ["country"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [SellerStaffInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seller]:
        return super().get_queryset(request).annotate(product_count=Count("products"))

    @admin.display(description="products", ordering="product_count")
    def product_count(self, seller: Any) -> int:
        return seller.product_count


@admin.register(Category)
class CategoryAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["name", "slug", "parent"]
    list_select_related = ["parent"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Product)
class ProductAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = [
        "sku",
        "name",
        "seller",
        "category",
        "status",
        "price",
        "currency",
        "in_stock",
        "units_sold",
        "rating_average",
    ]
    list_display_links = ["sku", "name"]
    list_filter = ["status", "in_stock", ("category__parent", admin.RelatedOnlyFieldListFilter), "category"]
    list_select_related = ["seller", "category"]
    search_fields = ["sku", "name", "seller__name"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["seller", "category", "created_by", "watchers"]
    readonly_fields = ["in_stock", "units_sold", "rating_average", "rating_count", "created_at", "updated_at"]
    inlines = [StockItemInline, OrderLineInline, ReviewInline]


@admin.register(Review)
class ReviewAdmin(SupportMayLook, admin.ModelAdmin):
    list_display = ["product", "author", "rating", "text", "created_at"]
    list_filter = ["rating"]
    list_select_related = ["product", "author"]
    search_fields = ["product__sku", "product__name", "author__username", "text"]
    autocomplete_fields = ["product", "author"]
    date_hierarchy = "created_at"
