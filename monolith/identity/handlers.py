"""What identity hears: whoever worked for a seller that is gone works for it no more."""

from __future__ import annotations

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import SellerStaff

employments = Subscription("identity.employments")


@employments.on("catalog.seller_deleted", version=1)
def end_employments_on_seller_deleted(event: Envelope) -> None:
    SellerStaff.objects.filter(seller=event.data["seller"]).delete()
