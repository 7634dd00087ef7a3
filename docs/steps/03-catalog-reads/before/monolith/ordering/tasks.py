"""What ordering does after the answer."""

from __future__ import annotations

from celery import shared_task
from django.core import serializers
from django.core.mail import send_mail
from kombu.utils.json import register_type

from .. import shared
from .models import Order

# An order travels whole, as it was when the task was sent.
register_type(
    Order,
    "order",
    lambda order: serializers.serialize("json", [order]),
    lambda text: next(serializers.deserialize("json", text)).object,
)


@shared_task(name="ordering.confirm_order")
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
