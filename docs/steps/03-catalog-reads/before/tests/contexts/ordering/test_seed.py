"""manage.py seed"""

import hashlib

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

TABLES = (
    "catalog_product",
    "catalog_review",
    "ordering_order",
    "ordering_orderline",
    "inventory_stockitem",
    "promotions_voucher",
    "promotions_redemption",
    "promotions_offer",
    "payments_payment",
    "fulfilment_shipment",
    "fulfilment_parcel",
    "notifications_mail",
)


def contents():
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY id")
            digest.update(repr(cursor.fetchall()).encode())
    return digest.hexdigest()


@pytest.fixture
def seeded(db, capsys):
    call_command("seed", scale=0.05)


def test_the_same_marketplace_is_seeded_at_every_call(seeded):
    first = contents()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE catalog_product, catalog_seller, catalog_category, identity_user CASCADE")
        cursor.execute("TRUNCATE inventory_warehouse, promotions_voucher CASCADE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    call_command("seed", scale=0.05)
    assert contents() == first


def test_a_full_database_is_left_alone(seeded, capsys):
    before = contents()
    with pytest.raises(CommandError, match="holds products already; nothing was written"):
        call_command("seed", scale=0.05)
    call_command("seed", scale=0.05, if_empty=True)
    assert contents() == before


def test_everybody_signs_in_with_the_same_password(seeded):
    for name in ("buyer1", "staff1", "support1", "admin"):
        assert Client().login(username=name, password="demo")


def test_what_is_seeded_can_be_ordered(seeded):
    from monolith.inventory.models import StockItem

    product = StockItem.objects.filter(product__status="active", quantity__gt=10).first().product_id
    client = Client()
    client.login(username="buyer1", password="demo")
    json = {"content_type": "application/json"}
    client.put(f"/api/ordering/cart/{product}/", {"quantity": 1}, **json)
    address = {"name": "Ada", "street": "Mill Lane 7", "postcode": "1", "city": "Porto", "country": "PT"}
    assert client.post("/api/ordering/orders/", {"address": address}, **json).status_code == 201


def test_counters_agree_with_the_rows_that_they_count(seeded):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM catalog_product p WHERE units_sold <> "
            "(SELECT coalesce(sum(quantity), 0) FROM ordering_orderline WHERE product_id = p.id)"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT count(*) FROM inventory_stockitem i WHERE reserved > 0 AND reserved <> "
            "(SELECT sum(quantity) FROM inventory_reservation r "
            "WHERE (r.product_id, r.warehouse_id) = (i.product_id, i.warehouse_id))"
        )
        assert cursor.fetchone() == (0,)


def test_money_agrees_with_lines_and_vouchers(seeded):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(redemption.id) FROM ordering_order o "
            "JOIN payments_payment payment ON payment.order_id = o.id AND payment.amount = o.total "
            "LEFT JOIN promotions_redemption redemption ON redemption.order_id = o.id "
            "WHERE o.total + coalesce(redemption.amount, 0) "
            "= (SELECT sum(quantity * unit_price) FROM ordering_orderline WHERE order_id = o.id)"
        )
        agreeing, discounted = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM ordering_order")
        assert (agreeing,) == cursor.fetchone()
        assert discounted


def test_every_line_of_an_order_that_stands_lies_in_one_parcel(seeded):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM ordering_orderline line JOIN ordering_order o ON o.id = line.order_id "
            "WHERE (SELECT count(*) FROM fulfilment_parcel_lines WHERE orderline_id = line.id) "
            "<> CASE o.status WHEN 'cancelled' THEN 0 ELSE 1 END"
        )
        assert cursor.fetchone() == (0,)
