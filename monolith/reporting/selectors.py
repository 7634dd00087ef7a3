"""Reads of reporting: SQL over its own tables, which hold what was announced."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import connection

SALES = """
SELECT seller.id, seller.name,
       count(DISTINCT orders.id) AS order_count,
       sum(line.quantity) AS pieces,
       sum(line.quantity * line.unit_price) AS gross,
       coalesce(sum(line.quantity * line.unit_price * orders.discount
                    / nullif(orders.total + orders.discount, 0)), 0)::numeric(14, 2) AS discount,
       coalesce(sum(line.quantity * line.unit_price) FILTER (WHERE payment.captured), 0) AS captured
FROM reporting_knownorder AS orders
JOIN reporting_knownline AS line ON line.order_id = orders.id
JOIN reporting_knownproduct AS product ON product.id = line.product_id AND NOT product.gone
JOIN reporting_knownseller AS seller ON seller.id = product.seller_id AND NOT seller.gone
LEFT JOIN reporting_knownpayment AS payment ON payment.order_id = orders.id
WHERE NOT orders.cancelled AND orders.placed_at >= %s::date AND orders.placed_at < %s::date + 1
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
