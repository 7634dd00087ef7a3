"""Nobody but the catalog writes, locks or cascades into its rows, whatever is done in the marketplace.

The recorder that a move's gate asks stands on the catalog's tables while people go about their business.
"""

import datetime

import psycopg
import pytest
from django.db import connection

from monolith.catalog import admin
from monolith.catalog.models import Category, Product
from monolith.inventory.models import StockItem
from monolith.inventory.tasks import release_expired_reservations
from monolith.ordering.models import Order, OrderLine
from strangler.chassis.ownership import Beliefs
from strangler.movement import foreign_keys, recorder
from tests.contexts.admin_forms import press, send
from tests.contexts.factories import (
    ADDRESS,
    a_category,
    a_product,
    a_review,
    a_seller,
    a_user,
    a_voucher,
    a_watch,
    an_offer,
    an_order,
    stock_of,
)

TABLES = [
    "catalog_seller",
    "catalog_category",
    "catalog_product",
    "catalog_review",
    "catalog_product_watchers",
]


@pytest.fixture
def rug(db):
    """A product with all that hangs on one."""
    rug = a_product(category=a_category("Discs", parent=a_category("Brakes")))
    stock_of(rug, 9)
    stock_of(rug, 4, "LYO")
    an_offer(rug)
    a_voucher("RUG")
    a_review(rug, a_user("bruno"))
    a_watch(rug, a_user("bruno"))
    return rug


@pytest.fixture
def noted(rug):
    """What the recorder has noted since, in its own words."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no trigger is made where one is waited for
        owner = cursor.connection
    recorder.install(owner, "catalog", TABLES, "nobody")
    yield lambda: crossings(owner)
    for one in connection.execute_wrappers:  # what was installed goes with the test's transaction
        one._recorded = None


def crossings(owner):
    recording = recorder.crossings(owner, TABLES, datetime.timedelta(minutes=5))
    assert recording.since
    return [str(one) for one in recording.crossings]


def buy(ask, visit, boss, deliver, rug):
    """By the API and at the checkout, with a voucher; one order is cancelled, one goes all its way."""
    buyer, support = ask("buyer"), ask("support")
    cancelled = an_order(buyer, rug, 2)
    assert buyer.post(f"/api/ordering/orders/{cancelled.pk}/cancel/").status_code == 200
    page = visit("buyer")
    page.post(f"/cart/{rug.pk}/add/", {"quantity": 6})
    assert page.post("/checkout/", ADDRESS | {"voucher": "RUG"}).status_code == 302
    order = Order.objects.latest("id")
    assert support.post(f"/api/ordering/orders/{order.pk}/ship/").status_code == 200
    for shipment in order.shipments.all():
        path = f"/api/fulfilment/shipments/{shipment.pk}/delivered/"
        assert support.post(path).status_code == 200


def let_a_promise_expire(ask, visit, boss, deliver, rug):
    an_order(ask("buyer"), rug, 1)
    rug.reservations.update(expires_at="2000-01-01T00:00Z")
    assert release_expired_reservations() == 1


def count_stock(ask, visit, boss, deliver, rug):
    item = StockItem.objects.first()
    assert ask("staff").patch(f"/api/inventory/stock/{item.pk}/", {"quantity": 0}).status_code == 200
    send(boss, f"/admin/inventory/stockitem/{item.pk}/change/", quantity=3)
    press(boss, f"/admin/inventory/stockitem/{item.pk}/delete/")


def correct_an_order(ask, visit, boss, deliver, rug):
    order = an_order(ask("buyer"), rug, 1)
    line = OrderLine.objects.get(order=order)
    send(boss, "/admin/ordering/orderline/add/", order=order.pk, product=rug.pk, quantity=2, unit_price="1")
    send(boss, f"/admin/ordering/orderline/{line.pk}/change/", quantity=3)
    press(boss, f"/admin/ordering/order/{order.pk}/delete/")


def close_an_account(ask, visit, boss, deliver, rug):
    press(boss, f"/admin/identity/user/{a_user('bruno').pk}/delete/")
    deliver()
    assert not rug.reviews.exists()


def hire_and_fire(ask, visit, boss, deliver, rug):
    send(boss, "/admin/identity/sellerstaff/add/", user=a_user("clerk").pk, seller=rug.seller_id)
    press(boss, f"/admin/identity/user/{a_user('clerk').pk}/delete/")


def keep_the_catalog_by_the_api(ask, visit, boss, deliver, rug):
    staff = ask("staff")
    hat = {"sku": "HAT", "name": "Hat", "seller": rug.seller_id, "category": rug.category_id}
    assert staff.post("/api/catalog/products/", hat | {"price": "8", "weight": "1"}).status_code == 201
    assert staff.patch(f"/api/catalog/products/{rug.pk}/", {"price": "9.90"}).status_code == 200
    assert staff.delete(f"/api/catalog/products/{rug.pk}/").status_code == 204


def keep_the_catalog_in_the_admin(ask, visit, boss, deliver, rug):
    send(boss, "/admin/catalog/seller/add/", name="Rivals", slug="rivals", country="DE")
    send(boss, "/admin/catalog/category/add/", name="Hats", slug="hats", parent=rug.category.parent_id)
    press(boss, f"/admin/catalog/category/{Category.objects.get(slug='hats').pk}/delete/")
    send(boss, f"/admin/catalog/product/{rug.pk}/change/", price="9.9")
    send(boss, "/admin/catalog/watch/add/", product=rug.pk, user=a_user("clerk").pk)
    review = rug.reviews.get()
    send(boss, f"/admin/catalog/review/{review.pk}/change/", rating=1)
    press(boss, "/admin/catalog/review/", action="delete_selected", _selected_action=[review.pk])
    press(boss, f"/admin/catalog/seller/{rug.seller_id}/delete/")


BUSINESS = [
    buy,
    let_a_promise_expire,
    count_stock,
    correct_an_order,
    close_an_account,
    hire_and_fire,
    keep_the_catalog_by_the_api,
    keep_the_catalog_in_the_admin,
]


@pytest.mark.parametrize("go_about", BUSINESS, ids=lambda one: one.__name__)
def test_nobody_but_the_catalog_touches_its_rows(ask, visit, boss, deliver, rug, noted, go_about):
    go_about(ask, visit, boss, deliver, rug)
    deliver()
    assert noted() == []


def use_the_pages(ask, visit, rug):
    """The desk, with the stock in both warehouses; a review; the wishlist."""
    an_order(ask("buyer"), rug, 1)
    sent = {f"p{rug.pk}-stock_{item.pk}": "3" for item in rug.stock.all()}
    sent |= {f"p{rug.pk}-price": "9.9", f"p{rug.pk}-status": "active"}
    assert visit("staff").post(f"/account/desk/{rug.pk}/", sent).status_code == 302
    page = visit("buyer")
    watch, review = f"/shop/products/{rug.pk}/watch/", f"/shop/products/{rug.pk}/review/"
    assert page.post(watch, {"watch": "on"}).status_code == 302
    assert page.post(review, {"rating": "5", "text": "Soft."}).status_code == 302
    rug.refresh_from_db()
    assert str(rug.price) == "9.90"
    assert set(rug.reviews.values_list("text", flat=True)) >= {"Soft."}
    assert rug.watches.filter(user__username="buyer").exists()
    page.post(watch, {"watch": "off"})
    assert not rug.watches.filter(user__username="buyer").exists()


def test_pages_that_write_in_process_are_noted(ask, visit, noted, rug):
    """After the rows have moved, such a write would be refused: the pages have to go over HTTP before."""
    use_the_pages(ask, visit, rug)
    assert noted()
    assert all(" by counter (counter.py:" in one for one in noted())


@pytest.fixture
def over_http(rug, settings, address):
    """The pages ask at an address, and the recorder stands on committed tables."""
    settings.CATALOG_URL = address
    named = connection.get_connection_params()
    server = {name: named[name] for name in ("host", "port", "user", "password", "dbname") if name in named}
    with psycopg.connect(**server, autocommit=True) as owner:
        recorder.install(owner, "catalog", TABLES, "nobody")
        yield owner
        recorder.remove(owner, TABLES)


@pytest.mark.django_db(transaction=True)
def test_pages_that_write_over_http_touch_no_rows_of_the_catalogs(ask, visit, over_http, rug):
    use_the_pages(ask, visit, rug)
    assert crossings(over_http) == []


def test_somebody_who_does_is_noted(noted, rug):
    """So that the silence above says something."""
    Product.objects.filter(pk=rug.pk).update(in_stock=False)
    (one,) = noted()
    assert one.startswith("UPDATE catalog_product by unknown code (UPDATE ")


def test_no_foreign_key_joins_the_catalogs_tables_to_others(db):
    with connection.cursor() as cursor:
        assert foreign_keys.crossing(cursor.connection, TABLES) == ()


class Moved:
    """What a home believes whose rows have gone to the service."""

    def elsewhere(self, context):
        return "the service"


def test_rows_that_have_moved_are_looked_at_in_the_admin_and_changed_by_nobody(boss, monkeypatch, rug):
    monkeypatch.setattr(admin, "beliefs", Moved())
    page = boss.get(f"/admin/catalog/product/{rug.pk}/change/")
    assert "The catalog&#x27;s rows belong to the service now" in page.text
    assert 'name="_save"' not in page.text
    for address in (f"product/{rug.pk}/change", "product/add", f"seller/{rug.seller_id}/delete"):
        assert boss.post(f"/admin/catalog/{address}/", {"post": "yes"}).status_code == 403
    assert a_seller() == rug.seller


@pytest.mark.parametrize(
    ("state", "other"), [("owner", ""), ("fenced", "the service"), ("follower", "the service")]
)
def test_a_home_says_where_rows_are_that_it_may_not_write(db, state, other):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA strangler_ownership; "
            "CREATE TABLE strangler_ownership.unit (name text, state text, epoch bigint, other text)"
        )
        cursor.execute(
            "INSERT INTO strangler_ownership.unit VALUES ('catalog.write', %s, 1, 'the service')", [state]
        )
    assert (Beliefs().elsewhere("catalog"), Beliefs().elsewhere("inventory")) == (other, "")


def test_a_home_that_knows_of_no_move_has_its_rows_itself(db):
    assert Beliefs().elsewhere("catalog") == ""
