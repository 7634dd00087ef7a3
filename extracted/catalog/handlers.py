"""What the catalog hears: what its products' counters count, and who is gone.

Each counter is one column, written alone: what somebody changes meanwhile stays changed.
"""

from __future__ import annotations

from django.db.models import F

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import Product, Review, Watch

counters = Subscription("catalog.counters")
people = Subscription("catalog.people")


@counters.on("inventory.stock_changed", version=1)
def mark_in_stock_on_stock_changed(event: Envelope) -> None:
    stock = event.data
    Product.objects.filter(pk=stock["product"]).update(in_stock=stock["available"] > 0)


@counters.on("ordering.order_placed", version=1)
def count_units_sold_on_order_placed(event: Envelope) -> None:
    for line in event.data["lines"]:
        Product.objects.filter(pk=line["product"]).update(units_sold=F("units_sold") + line["quantity"])


@people.on("identity.user_deleted", version=1)
def let_go_of_user_on_user_deleted(event: Envelope) -> None:
    user = event.data["user"]
    Product.objects.filter(created_by_id=user).update(created_by_id=None)
    Watch.objects.filter(user_id=user).delete()
    Review.objects.filter(author_id=user).delete()
