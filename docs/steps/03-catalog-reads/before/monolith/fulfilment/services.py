"""Writes of fulfilment: shipments are made in checkout, and follow what becomes of the order."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from django.db import transaction
from django.utils import timezone

from .. import shared
from ..identity.models import User
from ..ordering.models import Order
from .errors import NotOnItsWay
from .models import Parcel, Shipment
from .tasks import print_labels


def prepare_shipments(*, order: Order) -> list[Shipment]:
    """A shipment with a parcel from each warehouse that has pieces of the order set aside."""
    # entangled: where it leaves from stands in the inventory's rows, how heavy it is in the catalog's
    parcels: dict[int, Parcel] = {}
    lines = {line.product_id: line for line in order.lines.all()}
    for reservation in order.reservations.select_related("product").order_by("id"):
        if reservation.warehouse_id not in parcels:
            shipment = Shipment.objects.create(
                order=order, warehouse_id=reservation.warehouse_id, address=order.address
            )
            parcels[reservation.warehouse_id] = Parcel.objects.create(shipment=shipment, weight=Decimal(0))
            transaction.on_commit(partial(print_labels.delay, shipment.pk))
        parcel = parcels[reservation.warehouse_id]
        parcel.weight += reservation.quantity * reservation.product.weight
        parcel.save()
        parcel.lines.add(lines[reservation.product_id])
    return [parcel.shipment for parcel in parcels.values()]


def send_shipments(*, order: Order) -> None:
    """What waits for an order leaves."""
    for shipment in order.shipments.filter(state=Shipment.State.WAITING).order_by("id"):
        shipment.state, shipment.sent_at = Shipment.State.SENT, timezone.now()
        shipment.save()


def call_off_shipments(*, order: Order) -> None:
    """What waits for a cancelled order stays."""
    order.shipments.filter(state=Shipment.State.WAITING).update(state=Shipment.State.CALLED_OFF)


@transaction.atomic
def confirm_delivery(*, shipment: Shipment, by: User) -> Shipment:
    """A shipment has arrived; with its last one, the order is delivered. Raises NotOnItsWay."""
    order = Order.objects.select_for_update().get(pk=shipment.order_id)
    shipment = order.shipments.get(pk=shipment.pk)
    if shipment.state != Shipment.State.SENT:
        raise NotOnItsWay(shipment.get_state_display().lower())
    shipment.state = Shipment.State.DELIVERED
    shipment.save()
    if not order.shipments.exclude(state=Shipment.State.DELIVERED).exists():
        order.status = Order.Status.DELIVERED  # entangled: fulfilment writes ordering's row
        order.save()
    shared.write_down(by, shipment, "shipment delivered")
    return shipment
