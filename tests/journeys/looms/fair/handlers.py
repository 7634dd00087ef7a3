"""Each rug that was woven is counted, and heard of once, whatever falls on the way."""

from __future__ import annotations

from django.db import connection

from strangler.chassis.envelope import Envelope
from strangler.chassis.inbox import Subscription

counts = Subscription("fair.counts", batch=50)
COUNT = """
INSERT INTO fair_sighting AS heard (number, times) VALUES (%s, 1)
ON CONFLICT (number) DO UPDATE SET times = heard.times + 1
"""


@counts.on("rugs.rug_woven", version=1)
def count_rug_on_rug_woven(event: Envelope) -> None:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [event.data["number"]])
