"""What the inventory does by the clock."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from ..fulfilment.services import call_off_shipments
from ..ordering.models import Order
from ..payments.services import give_money_back
from ..promotions.services import give_voucher_back
from .models import Reservation, StockItem


@shared_task(name="inventory.release_expired_reservations")
def release_expired_reservations() -> int:
    """Give back what was promised for too long, and cancel those orders; returns how many they were."""
    orders = Order.objects.filter(
        status=Order.Status.PLACED, reservations__expires_at__lt=timezone.now()
    ).distinct()
    count = 0
    for order in orders:
        with transaction.atomic():
            for reservation in Reservation.objects.select_for_update().filter(order=order).order_by("id"):
                item = StockItem.objects.select_for_update().get(
                    product=reservation.product_id, warehouse=reservation.warehouse_id
                )
                item.reserved -= reservation.quantity
                item.save()
                reservation.delete()
            # entangled: the inventory's clock knows all that hangs on an order
            call_off_shipments(order=order)
            give_voucher_back(order=order)
            give_money_back(order=order)
            order.status = Order.Status.CANCELLED
            order.save()
            count += 1
    return count
