"""What fulfilment announces, in the transaction of the change; others read of it what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from .models import Shipment


@dataclass(frozen=True)
class ShipmentSent:
    """What one warehouse, by its name, had of an order has left it."""

    shipment: int
    order: int
    number: str
    buyer: int
    warehouse: str
    type: ClassVar[str] = "fulfilment.shipment_sent.v1"

    @property
    def key(self) -> str:
        return f"shipment-{self.shipment}"

    @classmethod
    def of(cls, shipment: Shipment) -> Self:
        # entangled: whose order it is stands in ordering's row, and what the warehouse is called elsewhere
        order = shipment.order
        return cls(shipment.pk, order.pk, order.number, order.buyer_id, shipment.warehouse.name)
