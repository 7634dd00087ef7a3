"""Writes of payments: money follows what becomes of an order, and what the provider tells."""

from __future__ import annotations

from django.db import transaction

from .. import shared
from ..identity.models import User
from ..ordering.models import Order
from . import anticorruption as provider
from .errors import NotRefundable, UnknownPayment
from .models import Payment, ProviderEvent

# What a webhook says, and from which states it leads on; whatever would lead back came late.
HEARD = {
    "payment.authorised": (Payment.State.AUTHORISED, ()),
    "payment.captured": (Payment.State.CAPTURED, (Payment.State.AUTHORISED,)),
    "payment.refunded": (Payment.State.REFUNDED, (Payment.State.AUTHORISED, Payment.State.CAPTURED)),
}


def authorise_payment(*, order: Order) -> Payment:
    """Have the order's total set aside at the provider, or put it on account.

    Raises PaymentDeclined or ProviderFailed. Runs inside of checkout's transaction, and waits there for the
    provider, while stock, vouchers and the buyer are locked. What is set aside stays so if that transaction
    fails later on: nobody here remembers it.
    """
    payment = Payment(order=order, payer=order.buyer, amount=order.total, currency=order.currency)
    if provider.is_configured():
        payment.reference = provider.authorise(
            number=order.number, amount=order.total, currency=order.currency
        )
        payment.state = Payment.State.AUTHORISED
    payment.save()
    return payment


def capture_payment(*, order: Order) -> None:
    """Take the money of an order that leaves; nothing to do on account. Raises ProviderFailed."""
    payment = Payment.objects.select_for_update().filter(order=order).first()
    if payment and payment.reference and payment.state == Payment.State.AUTHORISED:
        provider.capture(payment.reference)
        payment.state = Payment.State.CAPTURED
        payment.save()


def give_money_back(*, order: Order) -> None:
    """Give back the money of a cancelled order, wherever it is. Raises ProviderFailed."""
    payment = Payment.objects.select_for_update().filter(order=order).first()
    if payment and payment.state != Payment.State.REFUNDED:
        _refund(payment)


@transaction.atomic
def refund_payment(*, payment: Payment, by: User) -> Payment:
    """Give the money back though the goods have left. Raises NotRefundable or ProviderFailed."""
    payment = Payment.objects.select_for_update().get(pk=payment.pk)
    if payment.state != Payment.State.CAPTURED:
        raise NotRefundable(payment.get_state_display().lower())
    _refund(payment)
    shared.write_down(by, payment, "payment refunded")
    return payment


def _refund(payment: Payment) -> None:
    if payment.reference:
        provider.refund(payment.reference)
    payment.state = Payment.State.REFUNDED
    payment.save()


@transaction.atomic
def hear_provider(*, event: str, kind: str, reference: str) -> None:
    """Follow what the provider tells of a payment: each event once, and never back. Raises UnknownPayment.

    A webhook may come before the checkout that it is about has committed: the provider sends it again.
    """
    payment = Payment.objects.select_for_update().filter(reference=reference).first()
    if payment is None:
        raise UnknownPayment
    _, is_first = ProviderEvent.objects.get_or_create(
        event=event, defaults={"kind": kind, "payment": payment}
    )
    state, before = HEARD.get(kind, (None, ()))
    if is_first and payment.state in before:
        payment.state = state
        payment.save()
