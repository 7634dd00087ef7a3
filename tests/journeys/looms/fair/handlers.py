"""Each rug that was woven is counted, and heard of once, whatever falls on the way."""

from __future__ import annotations

from django.db.models import F

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import Sighting

counts = Subscription("fair.counts", batch=50)


@counts.on("rugs.rug_woven", version=1)
def count_rug_on_rug_woven(event: Envelope) -> None:
    number = event.data["number"]
    Sighting.objects.get_or_create(number=number)
    Sighting.objects.filter(number=number).update(times=F("times") + 1)
