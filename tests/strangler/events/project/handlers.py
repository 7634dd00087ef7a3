"""What the shop listens to: every price is written down, once and in order, if the chassis does its work."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.db import connection

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import NotNow, Subscription

prices = Subscription("rugs.prices", batch=int(os.environ.get("RUGS_BATCH", "20")))


@prices.on("rugs.price_changed", version=2)
def note_price_on_rug_price_changed(event: Envelope) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO rugs_seen (event_id, rug, n, currency, sequence, traceparent)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            [event.id, event.key, event.data["n"], event.data["currency"], event.sequence, event.traceparent],
        )
        cursor.execute("SELECT count(*) FROM rugs_repaired")
        repaired = cursor.fetchone()[0]
        if event.data.get("mood") == "poison" and not repaired:
            raise ValueError("a rug can't be that garish")
        if event.data.get("mood") == "fenced" and not repaired:
            raise NotNow("the fence is up")
        if event.data.get("mood") == "deadly" and not repaired:
            os.kill(os.getpid(), signal.SIGKILL)


@prices.upcast("rugs.price_changed", from_version=1)
def add_currency(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"currency": "DEM"}
