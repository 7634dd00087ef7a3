"""The catalog in the admin: sellers, shelves, products with all that hangs on them, and reviews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse

from strangler.chassis.ownership import Beliefs

from ..identity.admin import SupportMayLook
from ..identity.models import SellerStaff
from ..inventory.models import StockItem
from ..ordering.models import OrderLine
from . import services
from .models import Category, Product, Review, Seller, Watch

MOVED = (
    "The catalog's rows belong to {home} now, and are only followed here: look at them, and change them at "
    "/api/catalog/ or on the seller's desk."
)

beliefs = Beliefs()


class ReadOnlyInline(SupportMayLook, admin.TabularInline):
    """Rows to look at; they are changed on a page of their own."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class WhileHere(SupportMayLook, admin.ModelAdmin):
    """Rows that are changed here as long as this home owns them; once they have moved, they are looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not self._elsewhere(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not self._elsewhere(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not self._elsewhere(request)

    # Whatever Django's admin writes by itself, it writes below these: the call site is the catalog's.

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changelist_view, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **kwargs)

    def _told(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any, **kwargs: Any
    ) -> Any:
        if said := self._elsewhere(request):
            if request.method != "GET":
                raise PermissionDenied(said)
            messages.warning(request, said)
        return view(request, *args, **kwargs)

    def _elsewhere(self, request: HttpRequest) -> str:
        """Where the rows are, once they have moved; asked once in a request."""
        if not hasattr(request, "catalog_elsewhere"):
            home = beliefs.elsewhere("catalog")
            request.catalog_elsewhere = MOVED.format(home=home) if home else ""
        return request.catalog_elsewhere


class WatchInline(SupportMayLook, admin.TabularInline):
    """entangled: an admin inline that shows identity's people beside the catalog's wishlists."""

    model = Watch
    autocomplete_fields = ["user"]
    extra = 0


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
class SellerAdmin(WhileHere):
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

    def save_model(self, request: HttpRequest, obj: Seller, form: Any, change: bool) -> None:
        services.save_seller(seller=obj)

    def delete_model(self, request: HttpRequest, obj: Seller) -> None:
        services.remove_seller(seller=obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Seller]) -> None:
        for seller in queryset:
            services.remove_seller(seller=seller)


@admin.register(Category)
class CategoryAdmin(WhileHere):
    list_display = ["name", "slug", "parent"]
    list_select_related = ["parent"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Product)
class ProductAdmin(WhileHere):
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
    autocomplete_fields = ["seller", "category", "created_by"]
    readonly_fields = ["in_stock", "units_sold", "rating_average", "rating_count", "created_at", "updated_at"]
    inlines = [StockItemInline, OrderLineInline, ReviewInline, WatchInline]

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        services.save_product(product=obj)

    def delete_model(self, request: HttpRequest, obj: Product) -> None:
        services.remove_product(product=obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        for product in queryset:
            services.remove_product(product=product)


@admin.register(Review)
class ReviewAdmin(WhileHere):
    list_display = ["product", "author", "rating", "text", "created_at"]
    list_filter = ["rating"]
    list_select_related = ["product", "author"]
    search_fields = ["product__sku", "product__name", "author__username", "text"]
    autocomplete_fields = ["product", "author"]
    date_hierarchy = "created_at"


@admin.register(Watch)
class WatchAdmin(WhileHere):
    list_display = ["product", "user"]
    list_select_related = ["product", "user"]
    search_fields = ["product__sku", "product__name"]
    autocomplete_fields = ["product", "user"]
