"""Notifications in the admin: what was written to whom."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from ..identity.admin import SupportMayLook
from . import services
from .models import Mail


@admin.register(Mail)
class MailAdmin(SupportMayLook, admin.ModelAdmin):
    """What was written stays written."""

    # entangled: the list of mails shows and searches identity's people
    list_display = ["subject", "recipient", "order_number", "queued_at", "tried_at", "sent_at"]
    list_filter = [("sent_at", admin.EmptyFieldListFilter), ("tried_at", admin.EmptyFieldListFilter)]
    list_select_related = ["recipient"]
    search_fields = ["subject", "recipient__username", "order_number"]
    date_hierarchy = "queued_at"
    readonly_fields = ["event", "queued_at"]  # `strangler events trace` takes the event
    actions = ["send_once_more"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Send once more, unless it is known to be sent", permissions=["send"])
    def send_once_more(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        count = services.send_again(mails=queryset)
        self.message_user(request, f"{count} mails are tried once more.", messages.SUCCESS)

    def has_send_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)
