"""What the shop listens to: every price is written down, once and in order, if the chassis does its work."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.db import connection

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import CeleryBridge, NotNow, Subscription

prices = Subscription("rugs.prices", batch=int(os.environ.get("RUGS_BATCH", "20")))

if os.environ.get("RUGS_BRIDGE"):
    tasks = CeleryBridge("rugs.tasks", forwards=("rugs.price_changed",))


@prices.on("rugs.price_changed", version=2)
def note_price_on_rug_price_changed(event: Envelope) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO rugs_seen (event_id, rug, n, currency, sequence, traceparent)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            [event.id, event.key, event.data["n"], event.data["currency"], event.sequence, event.traceparent],
        )
    if mood := event.data.get("mood"):
        suffer(mood)


def suffer(mood: str) -> None:
    """What a handler that hasn't been repaired does with an event that it can't bear."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM rugs_repaired")
        if cursor.fetchone() is not None:
            return
    if mood == "poison":
        raise ValueError("a rug can't be that garish")
    if mood == "fenced":
        raise NotNow("the fence is up")
    if mood == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)


@prices.upcast("rugs.price_changed", from_version=1)
def add_currency(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"currency": "DEM"}
