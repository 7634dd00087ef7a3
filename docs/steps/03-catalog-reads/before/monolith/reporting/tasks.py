"""What reporting does by the clock."""

from __future__ import annotations

import datetime

from celery import shared_task
from django.db import connection
from django.utils import timezone

# entangled: four tables of three other contexts are read, every night
SUM_UP = """
INSERT INTO reporting_dailysales (day, seller_id, orders, pieces, gross, discount)
SELECT (orders.placed_at AT TIME ZONE 'UTC')::date, product.seller_id, count(DISTINCT orders.id),
       sum(line.quantity), sum(line.quantity * line.unit_price),
       coalesce(sum(line.quantity * line.unit_price * redemption.amount
                    / nullif(orders.total + redemption.amount, 0)), 0)
FROM ordering_order AS orders
JOIN ordering_orderline AS line ON line.order_id = orders.id
JOIN catalog_product AS product ON product.id = line.product_id
LEFT JOIN promotions_redemption AS redemption ON redemption.order_id = orders.id
WHERE orders.status <> 'cancelled' AND orders.placed_at >= %(since)s::date
  AND orders.placed_at < %(until)s::date + 1
GROUP BY 1, 2
ON CONFLICT (day, seller_id) DO UPDATE SET
    orders = excluded.orders, pieces = excluded.pieces, gross = excluded.gross, discount = excluded.discount
"""


@shared_task(name="reporting.sum_up_sales")
def sum_up_sales(since: str = "", until: str = "") -> int:
    """Sum up the days from `since` to `until` (like 2026-11-23, included), or yesterday; returns the rows.

    A day that was summed up before is written again: an order may have been cancelled since.
    """
    yesterday = timezone.now().date() - datetime.timedelta(days=1)
    days = {"since": since or yesterday.isoformat(), "until": until or yesterday.isoformat()}
    with connection.cursor() as cursor:
        cursor.execute(SUM_UP, days)
        return cursor.rowcount
