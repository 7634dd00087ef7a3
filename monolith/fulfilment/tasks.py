"""What fulfilment does after the answer."""

from __future__ import annotations

from celery import shared_task

from .models import Parcel


@shared_task(name="fulfilment.print_labels")
def print_labels(shipment: int) -> int:
    """Give every parcel of a shipment (its id) that has none a carrier's label; returns how many."""
    parcels = Parcel.objects.filter(shipment=shipment, label=None).select_related("shipment")
    for parcel in parcels:
        parcel.label = label_of(parcel.pk, parcel.shipment.address["country"])
        parcel.save()
    return len(parcels)


def label_of(parcel: int, country: str) -> str:
    """The carrier's number for a parcel (its id), the same one at every call."""
    return f"GP{parcel:09d}{country}"
