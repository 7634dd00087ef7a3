"""Notifications in the admin: what was written to whom."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from .models import Mail


@admin.register(Mail)
class MailAdmin(SupportMayLook, admin.ModelAdmin):
    """What was written stays written."""

    # entangled: the list of mails searches identity's people and ordering's orders
    list_display = ["subject", "recipient", "order", "queued_at", "sent_at"]
    list_filter = [("sent_at", admin.EmptyFieldListFilter)]
    list_select_related = ["recipient", "order"]
    search_fields = ["subject", "recipient__username", "order__number"]
    date_hierarchy = "queued_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
