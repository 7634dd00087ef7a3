"""What notifications hear: mails are queued for what happens to orders, and sent for being queued."""

from __future__ import annotations

from decimal import Decimal

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .anticorruption import neighbours
from .services import queue_mail, send_mail

mails = Subscription("notifications.mails")
post = Subscription("notifications.post", batch=1)  # each one is a conversation with the mail server


@mails.on("ordering.order_placed", version=1)
def confirm_order_and_tell_sellers_on_order_placed(event: Envelope) -> None:
    order = event.data
    bought = "\n".join(
        f"{line['quantity']} x {line['name']}: "
        f"{line['quantity'] * Decimal(line['unit_price']):.2f} {order['currency']}"
        for line in order["lines"]
    )
    total = f"{order['total']} {order['currency']}"
    _queue(event, order["buyer"], f"Your order {order['number']}", f"{bought}\n\n{total} in all.")
    for line in order["lines"]:
        sold = f"{line['quantity']} x {line['name']}"
        for person in neighbours.staff_of(line["seller"]):
            _queue(event, person, f"Sold: {sold}", f"Order {order['number']}: {sold}.")


@mails.on("ordering.order_cancelled", version=1)
def tell_buyer_on_order_cancelled(event: Envelope) -> None:
    number = event.data["number"]
    _queue(event, event.data["buyer"], f"Order {number} is cancelled", "It won't be sent.")


@mails.on("fulfilment.shipment_sent", version=1)
def tell_buyer_on_shipment_sent(event: Envelope) -> None:
    number, place = event.data["number"], event.data["warehouse"]
    _queue(event, event.data["buyer"], f"Order {number} is on its way", f"It has left {place}.")


@mails.on("payments.payment_refunded", version=1)
def tell_payer_on_payment_refunded(event: Envelope) -> None:
    if event.data["on_account"]:  # no money moves
        return
    number, amount = event.data["number"], f"{event.data['amount']} {event.data['currency']}"
    _queue(event, event.data["payer"], f"Your money for order {number}", f"{amount} are on their way.")


@post.on("notifications.mail_queued", version=1)
def send_mail_on_mail_queued(event: Envelope) -> None:
    send_mail(mail=event.data["mail"])


def _queue(event: Envelope, recipient: int, subject: str, text: str) -> None:
    queue_mail(
        recipient=recipient,
        order=event.data["order"],
        number=event.data["number"],
        subject=subject,
        text=text,
        event=event.id,
    )
