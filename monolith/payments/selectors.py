"""Reads of payments."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from .. import shared
from .models import Payment


def list_payments(user: Any) -> QuerySet[Payment]:
    """The user's own payments; everybody's for support and admins; newest first, with their orders."""
    payments = Payment.objects.select_related("order", "payer").order_by("-id")
    return payments if shared.sees_everything(user) else payments.filter(payer=user)
