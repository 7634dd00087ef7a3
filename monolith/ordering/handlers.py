"""What ordering hears of other contexts: it keeps the record of who did what."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .models import AuditEntry

audit = Subscription("ordering.audit", batch=100)


@audit.on("catalog.product_audited", version=1)
def write_down_on_product_audited(event: Envelope) -> None:
    actor = get_user_model().objects.filter(pk=event.data["actor"]).first()  # who may be gone by now
    AuditEntry.objects.create(
        content_type=ContentType.objects.get_by_natural_key("catalog", "product"),
        object_id=event.data["product"],
        actor=actor,
        action=event.data["action"],
    )
