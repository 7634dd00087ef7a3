"""`manage.py seed`: fills an empty database with the invented marketplace, by COPY and in one transaction."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ....catalog.models import Product
from ....identity.models import User
from ....reporting.tasks import sum_up_sales
from ...models import Order
from ..marketplace import FAR, OPENED, Marketplace, Row

COLUMNS = {
    "identity_user": "id, username, first_name, last_name, email, password, role, "
    "is_superuser, is_staff, is_active, date_joined",
    "identity_sellerstaff": "id, user_id, seller_id",
    "catalog_seller": "id, name, slug, description, country, created_at",
    "catalog_category": "id, name, slug, parent_id",
    "catalog_product": "id, sku, slug, name, description, seller_id, category_id, status, "
    "price, currency, weight, attributes, in_stock, units_sold, rating_average, rating_count, "
    "created_by_id, created_at, updated_at",
    "catalog_product_watchers": "product_id, user_id",
    "ordering_order": "id, number, buyer_id, status, total, currency, address, placed_at",
    "ordering_orderline": "id, order_id, product_id, quantity, unit_price",
    "inventory_reservation": "id, order_id, product_id, warehouse_id, quantity, expires_at",
    "inventory_warehouse": "id, code, name",
    "inventory_stockitem": "id, product_id, warehouse_id, quantity, reserved",
    "catalog_review": "id, product_id, author_id, rating, text, created_at",
    "promotions_voucher": 'id, code, percent, minimum, "limit", limit_per_buyer, redeemed, '
    "valid_from, valid_until",
    "promotions_redemption": "id, voucher_id, order_id, buyer_id, amount, redeemed_at",
    "promotions_offer": 'id, product_id, percent, "limit", sold, starts_at, ends_at',
    "payments_payment": "id, order_id, payer_id, amount, currency, state, created_at, changed_at",
    "fulfilment_shipment": "id, order_id, warehouse_id, state, address, created_at, sent_at",
    "fulfilment_parcel": "id, shipment_id, weight, label",
    "fulfilment_parcel_lines": "parcel_id, orderline_id",
    "notifications_mail": "id, recipient_id, order_id, subject, text, queued_at, sent_at",
    "ordering_note": "id, content_type_id, object_id, author_id, text, created_at",
}

# An order's rows come together, in this order.
ORDER_TABLES = (
    "ordering_order",
    "ordering_orderline",
    "inventory_reservation",
    "promotions_redemption",
    "payments_payment",
    "fulfilment_shipment",
    "fulfilment_parcel",
    "fulfilment_parcel_lines",
)

COUNTERS = """
UPDATE catalog_product SET
    units_sold = coalesce(sold.quantity, 0),
    in_stock = coalesce(stock.free, false),
    rating_average = rating.average,
    rating_count = coalesce(rating.number, 0)
FROM catalog_product AS product
LEFT JOIN (SELECT product_id, sum(quantity) AS quantity FROM ordering_orderline GROUP BY 1) AS sold
    ON sold.product_id = product.id
LEFT JOIN (SELECT product_id, bool_or(quantity > reserved) AS free FROM inventory_stockitem GROUP BY 1)
    AS stock ON stock.product_id = product.id
LEFT JOIN (SELECT product_id, avg(rating) AS average, count(*) AS number FROM catalog_review GROUP BY 1)
    AS rating ON rating.product_id = product.id
WHERE catalog_product.id = product.id
"""


class Command(BaseCommand):
    help = "Fill an empty database with an invented marketplace, the same one at every call."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--scale",
            type=float,
            default=1.0,
            help="1 means 2,000 products, 1,000 users and 5,000 orders; 100 means a hundred times that.",
        )
        parser.add_argument("--if-empty", action="store_true", help="Do nothing where there are products.")

    def handle(self, *, scale: float, if_empty: bool, **options: Any) -> None:
        if not 0 < scale <= 1000:
            raise CommandError(f"--scale lies between 0 and 1000, not at {scale:g}; nothing was written.")
        started = time.monotonic()
        with transaction.atomic(), connection.cursor() as cursor:
            # Two seeds at once: the second waits, and finds the products of the first.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('marketplace seed'))")
            if Product.objects.exists():
                if if_empty:
                    self.stdout.write("The database holds products already; nothing was written.")
                    return
                raise CommandError(
                    "The database holds products already; nothing was written. Seed an empty one, "
                    "or say --if-empty to leave a full one as it is."
                )
            marketplace = Marketplace(scale, make_password("demo"), _content_types())
            self._fill(marketplace)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {', '.join(COLUMNS)}")
        self.stdout.write(
            f"{marketplace.products:,} products, {marketplace.users:,} users and {marketplace.orders:,} "
            f"orders in {time.monotonic() - started:.1f} s. "
            "Sign in as buyer1, staff1, support1 or admin; password: demo."
        )

    def _fill(self, marketplace: Marketplace) -> None:
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, transient=not self.stdout.isatty()) as progress:

            def shown(table: str, rows: Iterator[Any], total: int | None = None) -> Iterator[Any]:
                return progress.track(rows, total=total, description=table)

            one = marketplace
            _copy("identity_user", shown("identity_user", one.identity_user(), one.users))
            _copy("identity_sellerstaff", one.identity_sellerstaff())
            _copy("catalog_seller", one.catalog_seller())
            _copy("catalog_category", one.catalog_category())
            _copy("catalog_product", shown("catalog_product", one.catalog_product(), one.products))
            _copy("catalog_product_watchers", one.catalog_product_watchers())
            _copy("inventory_warehouse", one.inventory_warehouse())
            _copy_orders(shown("ordering_order", one.ordering_order(), one.orders))
            _copy("inventory_stockitem", shown("inventory_stockitem", one.inventory_stockitem()))
            _copy("catalog_review", shown("catalog_review", one.catalog_review(), len(one.opinions)))
            _copy("ordering_note", one.ordering_note())
            _copy("promotions_voucher", one.promotions_voucher())
            _copy("promotions_offer", one.promotions_offer())
            _copy("notifications_mail", one.notifications_mail())
            sum_up_sales(OPENED.date().isoformat(), FAR.date().isoformat())
            counters = progress.add_task("counters and sequences", total=1)
            with connection.cursor() as cursor:
                cursor.execute(COUNTERS)
                for table in COLUMNS:
                    cursor.execute(
                        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "  # nosec B608
                        f"greatest((SELECT max(id) FROM {table}), %s))",
                        # Numbers of orders come from this sequence, and every seeded order has one.
                        [marketplace.orders if table == "inventory_reservation" else 1],
                    )
            progress.advance(counters)


def _content_types() -> dict[str, int]:
    return {
        model._meta.model_name: ContentType.objects.get_for_model(model).pk
        for model in (Order, Product, User)
    }


def _copy(table: str, rows: Iterator[Row]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _copy_orders(orders: Iterator[tuple[list[Row], ...]], batch: int = 20_000) -> None:
    """An order's rows come together; a connection copies into one table at a time."""
    waiting: tuple[list[Row], ...] = tuple([] for _ in ORDER_TABLES)

    def flush() -> None:
        for table, rows in zip(ORDER_TABLES, waiting, strict=True):
            _copy(table, iter(rows))
            rows.clear()

    for order in orders:
        for rows, more in zip(waiting, order, strict=True):
            rows.extend(more)
        if len(waiting[0]) >= batch:
            flush()
    flush()
