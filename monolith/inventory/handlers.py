"""What the inventory hears: stock and promises go with their product."""

from __future__ import annotations

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import Reservation, StockItem

stock = Subscription("inventory.stock")


@stock.on("catalog.product_deleted", version=1)
def drop_stock_and_reservations_on_product_deleted(event: Envelope) -> None:
    Reservation.objects.filter(product=event.data["product"]).delete()
    StockItem.objects.filter(product=event.data["product"]).delete()
