"""What ordering hears of the catalog: who changed what by hand."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import AuditEntry

trail = Subscription("ordering.trail")


@trail.on("catalog.product_edited", version=1)
def write_down_on_product_edited(event: Envelope) -> None:
    edit = event.data
    AuditEntry.objects.create(
        content_type=ContentType.objects.get_by_natural_key("catalog", "product"),
        object_id=edit["product"],
        actor=get_user_model().objects.filter(pk=edit["by"]).first(),
        action=edit["action"],
    )
