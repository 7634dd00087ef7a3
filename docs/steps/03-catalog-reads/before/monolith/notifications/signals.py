"""Writes to people as rows of other contexts are saved."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from .. import shared
from ..fulfilment.models import Shipment
from ..identity.models import User
from ..ordering.models import Order, OrderLine
from ..payments.models import Payment
from .models import Mail
from .tasks import send_queued_mail


def _queue(recipient: User, order: Order, subject: str, text: str) -> None:
    mail = Mail.objects.create(recipient=recipient, order=order, subject=subject, text=text)
    # Before the commit: a quick worker finds no mail, and after a rollback there is none to find.
    send_queued_mail.delay(mail.pk)


@receiver(post_save, sender=OrderLine)
def tell_seller_what_was_sold(instance: OrderLine, created: bool, **kwargs: Any) -> None:
    if created:
        # entangled: from ordering's line through the catalog's seller to identity's people
        for employment in instance.product.seller.staff.select_related("user").order_by("id"):
            sold = f"{instance.quantity} x {instance.product.name}"
            _queue(
                employment.user, instance.order, f"Sold: {sold}", f"Order {instance.order.number}: {sold}."
            )


@receiver(post_save, sender=Order)
def tell_buyer_that_order_is_cancelled(instance: Order, created: bool, **kwargs: Any) -> None:
    if not created and instance.status == Order.Status.CANCELLED:
        _queue(instance.buyer, instance, f"Order {instance.number} is cancelled", "It won't be sent.")


@receiver(post_save, sender=Shipment)
def tell_buyer_that_shipment_is_on_its_way(instance: Shipment, created: bool, **kwargs: Any) -> None:
    if not created and instance.state == Shipment.State.SENT:
        order, place = instance.order, instance.warehouse.name
        _queue(order.buyer, order, f"Order {order.number} is on its way", f"It has left {place}.")


@receiver(post_save, sender=Payment)
def tell_payer_that_money_comes_back(instance: Payment, created: bool, **kwargs: Any) -> None:
    if not created and instance.reference and instance.state == Payment.State.REFUNDED:
        amount = shared.money(instance.amount, instance.currency)
        number = instance.order.number
        _queue(
            instance.payer, instance.order, f"Your money for order {number}", f"{amount} are on their way."
        )
