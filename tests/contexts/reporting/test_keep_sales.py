"""The sales as reporting keeps them from events: the same as the report that read everybody's tables."""

import random

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from monolith.catalog.models import Product, Seller
from monolith.ordering.models import Order
from monolith.payments.models import Payment
from monolith.reporting.models import DailySales, KnownOrder, KnownProduct
from monolith.reporting.selectors import list_sales
from monolith.reporting.services import rebuild_sales
from monolith.reporting.tasks import sum_up_sales
from tests.contexts.admin_forms import send
from tests.contexts.factories import (
    ADDRESS,
    a_product,
    a_seller,
    a_user,
    a_voucher,
    an_order,
    stock_of,
)

# The entangled report and the nightly sum, word for word, but for what they are written to.
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
WHERE orders.status <> 'cancelled' AND orders.placed_at >= '2020-01-01' AND orders.placed_at < '2030-01-01'
GROUP BY seller.id
ORDER BY gross DESC, seller.id
"""
DAYS = """
SELECT (orders.placed_at AT TIME ZONE 'UTC')::date, product.seller_id, count(DISTINCT orders.id),
       sum(line.quantity), sum(line.quantity * line.unit_price)::numeric(14, 2),
       coalesce(sum(line.quantity * line.unit_price * redemption.amount
                    / nullif(orders.total + redemption.amount, 0)), 0)::numeric(14, 2)
FROM ordering_order AS orders
JOIN ordering_orderline AS line ON line.order_id = orders.id
JOIN catalog_product AS product ON product.id = line.product_id
LEFT JOIN promotions_redemption AS redemption ON redemption.order_id = orders.id
WHERE orders.status <> 'cancelled'
GROUP BY 1, 2 ORDER BY 1, 2
"""


def by_the_owners_tables(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def as_kept():
    since, until = timezone.datetime(2020, 1, 1).date(), timezone.datetime(2029, 12, 31).date()
    return [tuple(row.values()) for row in list_sales(since, until)]


def days_as_kept():
    DailySales.objects.all().delete()
    sum_up_sales("2020-01-01", "2029-12-31")
    columns = ("day", "seller_id", "orders", "pieces", "gross", "discount")
    return list(DailySales.objects.order_by("day", "seller_id").values_list(*columns))


def is_equal():
    """Whether both reports are, and hold something."""
    expected = by_the_owners_tables(SALES)
    assert as_kept() == expected
    assert days_as_kept() == by_the_owners_tables(DAYS)
    return bool(expected)


@pytest.fixture
def seeded(db, capsys, deliver):
    """The invented marketplace, which was there before anybody announced anything; seeding copies it."""
    call_command("seed", scale=0.02)


def test_history_that_was_there_before_is_copied(seeded):
    assert is_equal()


def test_history_that_was_there_before_is_announced_once(seeded, deliver, capsys):
    rebuild_sales(copy=False)
    assert as_kept() == []
    call_command("restate_events")
    deliver()
    assert is_equal()
    capsys.readouterr()
    call_command("restate_events")
    assert set(capsys.readouterr().out.split("\n")) == {
        "catalog.seller: 0 announced",
        "catalog.product: 0 announced",
        "ordering.order: 0 announced",
        "payments.payment: 0 announced",
        "",
    }
    assert deliver() == []


def test_the_report_stays_equal_whatever_happens(seeded, ask, boss, provider, deliver):
    """Orders placed, cancelled, shipped, paid, refunded; prices, names and owners changed; rows gone."""
    draw = random.Random("sales")
    api = ask("anonymous")
    api.force_login(a_user("boss"))
    buyer = ask("buyer")
    for product in Product.objects.filter(status="active", in_stock=True).order_by("id")[:8]:
        voucher = {"voucher": "GARISH-20"} if product.price > 40 else {}
        order = an_order(buyer, product, 2, **voucher)
        become = draw.choice(["cancel", "ship", "refund", "wait"])
        if become == "cancel":
            buyer.post(f"/api/ordering/orders/{order.pk}/cancel/")
        elif become != "wait":
            api.post(f"/api/ordering/orders/{order.pk}/ship/")
        if become == "refund":
            payment = Payment.objects.get(order=order)
            assert api.post(f"/api/payments/payments/{payment.pk}/refund/").status_code == 200
    deliver()
    assert is_equal()

    waiting = Order.objects.filter(status="placed").order_by("id")
    for order in waiting[:2]:
        api.post(f"/api/ordering/orders/{order.pk}/cancel/")
    for order in waiting[2:4]:
        api.post(f"/api/ordering/orders/{order.pk}/ship/")
    sold = list(Product.objects.exclude(order_lines=None).order_by("-units_sold", "id")[:5])
    for product in sold[:3]:
        assert api.patch(f"/api/catalog/products/{product.pk}/", {"price": "1.00"}).status_code == 200
    other = Seller.objects.exclude(pk=sold[0].seller_id).first()
    api.patch(f"/api/catalog/products/{sold[0].pk}/", {"seller": other.pk})
    send(boss, f"/admin/catalog/seller/{other.pk}/change/", name="Friends")
    corrected = Order.objects.filter(status="delivered").order_by("id").first()
    send(boss, f"/admin/ordering/order/{corrected.pk}/change/", **{"lines-0-quantity": "7"})
    deliver()
    assert is_equal()
    assert KnownProduct.objects.get(pk=sold[1].pk).price == 1

    api.delete(f"/api/catalog/products/{sold[4].pk}/")
    boss.post(f"/admin/catalog/seller/{sold[2].seller_id}/delete/", {"post": "yes"})
    struck = Order.objects.filter(status="delivered").order_by("-id").first()
    boss.post(f"/admin/ordering/order/{struck.pk}/delete/", {"post": "yes"})
    deliver()
    assert is_equal()


def test_a_row_that_differs_would_be_noticed(seeded):
    """Otherwise that both reports are equal would prove nothing."""
    for change in (
        lambda: KnownOrder.objects.filter(cancelled=False, discount__gt=0).update(discount=0),
        lambda: KnownOrder.objects.filter(cancelled=False).order_by("id").first().payment.delete(),
    ):
        with transaction.atomic():
            change()
            with pytest.raises(AssertionError):
                is_equal()
            transaction.set_rollback(True)
    assert is_equal()


def test_a_redelivered_event_changes_nothing(ask, deliver):
    rug = a_product(price="12.50")
    stock_of(rug, 9)
    order = an_order(ask("buyer"), rug, 2)
    call_command("restate_events", verbosity=0)
    heard = deliver()
    ask("buyer").post(f"/api/ordering/orders/{order.pk}/cancel/")
    heard += deliver()
    assert as_kept() == []
    from monolith.reporting.handlers import sales

    for event in heard:  # in their order, as a replay hands them over: past the inbox
        if event.type in sales.types:
            sales.handle(event)
    assert as_kept() == []
    assert KnownOrder.objects.get().lines.count() == 1


def test_events_of_two_keys_may_come_in_any_order(ask, deliver):
    """The order before its product, and the product's end before either."""
    rug = a_product(price="12.50")
    stock_of(rug, 9)
    an_order(ask("buyer"), rug, 2)
    deliver("reporting.sales")
    assert as_kept() == []  # sold by nobody that is known yet
    call_command("restate_events", "catalog.product")
    deliver("reporting.sales")
    assert as_kept() == []
    call_command("restate_events", "catalog.seller")
    deliver("reporting.sales")
    assert [row[2:5] for row in as_kept()] == [(1, 2, 25)]


def test_what_bulk_loads_left_out_is_made_good_by_restating_all(seeded, ask, deliver):
    """Raw SQL and bulk updates announce nothing."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ordering_orderline SET quantity = quantity + 1 WHERE order_id % 3 = 0")
    assert deliver() == []
    with pytest.raises(AssertionError):
        is_equal()
    call_command("restate_events", "ordering.order", everything=True)
    deliver()
    assert is_equal()


def test_the_projection_is_built_anew(seeded, deliver, capsys):
    """Rows that were deleted in raw SQL are announced by nobody; they go with the rest."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM fulfilment_parcel_lines")
        cursor.execute("DELETE FROM ordering_orderline WHERE product_id = 1")
    call_command("rebuild_sales")
    deliver()
    assert is_equal()


@pytest.mark.django_db(transaction=True)
def test_an_order_that_is_announced_is_found_by_whoever_hears_of_it(deliver):
    """What a task that is dispatched before the commit doesn't find."""
    from monolith.ordering.services import place_order

    rug = a_product(price="12.50", seller=a_seller("Rivals"))
    stock_of(rug, 9)
    a_voucher(percent=20)
    call_command("restate_events", verbosity=0)
    with transaction.atomic():
        place_order(buyer=a_user("buyer"), session={"cart": {str(rug.pk): 1}}, address=ADDRESS)
        transaction.set_rollback(True)
    place_order(buyer=a_user("buyer"), session={"cart": {str(rug.pk): 2}}, address=ADDRESS)
    deliver("reporting.sales")
    assert [row[1:5] for row in as_kept()] == [("Rivals", 1, 2, 25)]
