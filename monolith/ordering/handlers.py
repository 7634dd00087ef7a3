"""What ordering hears of the catalog: which lines have lost their product, and who changed what by hand."""

from __future__ import annotations

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

from .anticorruption import catalog_row, user_or_nobody
from .models import AuditEntry, OrderLine

lines = Subscription("ordering.lines")
trail = Subscription("ordering.trail")


@lines.on("catalog.product_deleted", version=1)
def drop_lines_on_product_deleted(event: Envelope) -> None:
    OrderLine.objects.filter(product=event.data["product"]).delete()


@trail.on("catalog.product_edited", version=1)
def write_down_on_product_edited(event: Envelope) -> None:
    edit = event.data
    AuditEntry.objects.create(
        content_type=catalog_row("product"),
        object_id=edit["product"],
        actor_id=user_or_nobody(edit["by"]),
        action=edit["action"],
    )
