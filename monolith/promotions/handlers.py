"""What promotions hear: offers go with their product."""

from __future__ import annotations

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import Offer

offers = Subscription("promotions.offers")


@offers.on("catalog.product_deleted", version=1)
def drop_offers_on_product_deleted(event: Envelope) -> None:
    Offer.objects.filter(product=event.data["product"]).delete()
