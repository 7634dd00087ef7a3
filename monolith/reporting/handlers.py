"""What reporting hears of catalog, ordering and payments, and keeps in tables of its own.

Each handler writes what the event says, whatever was there: handled again, it changes nothing. What is told
of a row that nobody has described yet is passed over; `restate_events` describes it.
"""

from __future__ import annotations

from django.db.models import Model

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import KnownLine, KnownOrder, KnownPayment, KnownProduct, KnownSeller

sales = Subscription("reporting.sales", batch=100)


@sales.on("catalog.seller_entered", version=1)
@sales.on("catalog.seller_changed", version=1)
@sales.on("catalog.seller_restated", version=1)
def remember_seller_on_seller_entered_changed_or_restated(event: Envelope) -> None:
    seller = event.data
    _write(KnownSeller(id=seller["seller"], name=seller["name"]))


@sales.on("catalog.seller_deleted", version=1)
def write_off_seller_on_seller_deleted(event: Envelope) -> None:
    _write(KnownSeller(id=event.data["seller"], gone=True), only=("gone",))


@sales.on("catalog.product_entered", version=1)
@sales.on("catalog.product_changed", version=1)
@sales.on("catalog.product_restated", version=1)
def remember_product_on_product_entered_changed_or_restated(event: Envelope) -> None:
    product = event.data
    _write(
        KnownProduct(
            id=product["product"],
            sku=product["sku"],
            name=product["name"],
            seller_id=product["seller"],
            price=product["price"],
            currency=product["currency"],
        )
    )


@sales.on("catalog.product_price_changed", version=1)
def reprice_product_on_product_price_changed(event: Envelope) -> None:
    now = {"price": event.data["price"], "currency": event.data["currency"]}
    KnownProduct.objects.filter(pk=event.data["product"]).update(**now)


@sales.on("catalog.product_deleted", version=1)
def write_off_product_on_product_deleted(event: Envelope) -> None:
    _write(KnownProduct(id=event.data["product"], gone=True), only=("gone",))


@sales.on("ordering.order_placed", version=1)
@sales.on("ordering.order_restated", version=1)
def remember_order_on_order_placed_or_restated(event: Envelope) -> None:
    order = event.data
    _write(
        KnownOrder(
            id=order["order"],
            number=order["number"],
            placed_at=order["placed_at"],
            total=order["total"],
            discount=order["discount"],
            cancelled=order["status"] == "cancelled",
        )
    )
    lines = [
        KnownLine(
            id=line["line"],
            order_id=order["order"],
            product_id=line["product"],
            quantity=line["quantity"],
            unit_price=line["unit_price"],
        )
        for line in order["lines"]
    ]
    _write(*lines)
    KnownLine.objects.filter(order=order["order"]).exclude(pk__in=[line.pk for line in lines]).delete()


@sales.on("ordering.order_cancelled", version=1)
def take_order_out_on_order_cancelled(event: Envelope) -> None:
    KnownOrder.objects.filter(pk=event.data["order"]).update(cancelled=True)


@sales.on("ordering.order_deleted", version=1)
def forget_order_on_order_deleted(event: Envelope) -> None:
    KnownOrder.objects.filter(pk=event.data["order"]).delete()


@sales.on("payments.payment_captured", version=1)
@sales.on("payments.payment_refunded", version=1)
@sales.on("payments.payment_restated", version=1)
def follow_money_on_payment_captured_refunded_or_restated(event: Envelope) -> None:
    _write(KnownPayment(order_id=event.data["order"], captured=event.data["state"] == "captured"))


def _write(*rows: Model, only: tuple[str, ...] = ()) -> None:
    """Insert rows of one table, or write over those that are there: over all columns, or over some."""
    if rows:
        columns = only or [field.name for field in rows[0]._meta.concrete_fields if not field.primary_key]
        type(rows[0])._default_manager.bulk_create(
            rows, update_conflicts=True, unique_fields=["pk"], update_fields=columns
        )
