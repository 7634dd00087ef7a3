"""Reporting in the admin: the summed-up days, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from .models import DailySales


@admin.register(DailySales)
class DailySalesAdmin(SupportMayLook, admin.ModelAdmin):
    # entangled: the list of reporting shows and searches the catalog's sellers
    list_display = ["day", "seller", "orders", "pieces", "gross", "discount"]
    list_select_related = ["seller"]
    search_fields = ["seller__name"]
    date_hierarchy = "day"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
