"""What the inventory does by the clock."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from .anticorruption import neighbours
from .models import Reservation


@shared_task(name="inventory.release_expired_reservations")
def release_expired_reservations() -> int:
    """Cancel the orders that were promised pieces for too long; returns how many they were.

    The pieces go back to the shelf with the order, in its own transaction.
    """
    expired = Reservation.objects.filter(expires_at__lt=timezone.now()).exclude(order=None)
    orders = set(expired.values_list("order_id", flat=True))
    return sum(neighbours.let_go(order) for order in sorted(orders))
