"""Reads of reporting: raw SQL over everybody's tables."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import connection

# entangled: six tables of four other contexts
SALES = """
SELECT seller.id, seller.name,
       count(DISTINCT orders.id) AS order_count,
       sum(line.quantity) AS pieces,
       sum(line.quantity * line.unit_price) AS gross,
       coalesce(sum(line.quantity * line.unit_price * redemption.amount
                    / nullif(orders.total + redemption.amount, 0)), 0)::numeric(14, 2) AS discount,
       coalesce(sum(line.quantity * line.unit_price) FILTER (WHERE payment.state = 'captured'), 0) AS captured
FROM ordering_order AS orders
JOIN ordering_orderline AS line ON line.order_id = orders.id
JOIN catalog_product AS product ON product.id = line.product_id
JOIN catalog_seller AS seller ON seller.id = product.seller_id
LEFT JOIN payments_payment AS payment ON payment.order_id = orders.id
LEFT JOIN promotions_redemption AS redemption ON redemption.order_id = orders.id
WHERE orders.status <> 'cancelled' AND orders.placed_at >= %s::date AND orders.placed_at < %s::date + 1
GROUP BY seller.id
ORDER BY gross DESC, seller.id
"""


def list_sales(since: datetime.date, until: datetime.date) -> list[dict[str, Any]]:
    """Sales of each seller from the day `since` to the day `until` (UTC), both included, the best first.

    seller (id), name, order_count, pieces, gross, discount and captured (amounts in one currency).
    """
    names = ("seller", "name", "order_count", "pieces", "gross", "discount", "captured")
    with connection.cursor() as cursor:
        cursor.execute(SALES, [since, until])
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
