"""What reporting asks of other contexts: nothing, but for a copy of their history to begin with.

It hears what happens by events. The copy is the quick way in while everybody's tables lie in one database; it
goes when reporting leaves, and then history comes by `restate_events` alone.
"""

from __future__ import annotations

from typing import Protocol

from django.db import connection

COPIES = """
INSERT INTO reporting_knownseller (id, name, gone) SELECT id, name, false FROM catalog_seller;

INSERT INTO reporting_knownproduct (id, sku, name, seller_id, price, currency, gone)
SELECT id, sku, name, seller_id, price, currency, false FROM catalog_product;

INSERT INTO reporting_knownorder (id, number, placed_at, total, discount, cancelled)
SELECT orders.id, orders.number, orders.placed_at, orders.total, coalesce(redemption.amount, 0),
       orders.status = 'cancelled'
FROM ordering_order AS orders
LEFT JOIN promotions_redemption AS redemption ON redemption.order_id = orders.id;

INSERT INTO reporting_knownline (id, order_id, product_id, quantity, unit_price)
SELECT id, order_id, product_id, quantity, unit_price FROM ordering_orderline
WHERE order_id IN (SELECT id FROM reporting_knownorder);

INSERT INTO reporting_knownpayment (order_id, captured)
SELECT order_id, state = 'captured' FROM payments_payment;
"""


class Neighbours(Protocol):
    """Those who have a history."""

    def copy_history(self) -> None:
        """Fill reporting's empty tables with what the owners' rows say now."""


class InOneDatabase:
    """The neighbours' tables lie beside reporting's."""

    def copy_history(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(COPIES)


neighbours: Neighbours = InOneDatabase()
