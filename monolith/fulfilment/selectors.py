"""Reads of fulfilment."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from .. import shared
from .models import Shipment


def list_shipments(user: Any) -> QuerySet[Shipment]:
    """Shipments of the user's own orders; all of them for support and admins; newest first, with parcels."""
    shipments = Shipment.objects.select_related("order", "warehouse").prefetch_related("parcels")
    # entangled: whose shipment it is stands in ordering's row
    own = shipments if shared.sees_everything(user) else shipments.filter(order__buyer=user)
    return own.order_by("-id")
