"""What ordering does after the answer."""

from __future__ import annotations

from celery import shared_task
from django.core.mail import send_mail

from .. import shared
from .models import Order


@shared_task(name="ordering.confirm_order", serializer="pickle")
def confirm_order(order: Order) -> None:
    """Mail the buyer what they have ordered."""
    lines = "\n".join(
        f"{line.quantity} x {line.product.name}: {shared.money(line.amount, order.currency)}"
        for line in order.lines.select_related("product").order_by("id")
    )
    total = shared.money(order.total, order.currency)
    send_mail(
        subject=f"Your order {order.number}",
        message=f"Dear {order.buyer.display_name},\n\n{lines}\n\n{total} in all.\n",
        from_email=None,
        recipient_list=[order.buyer.email],
    )
