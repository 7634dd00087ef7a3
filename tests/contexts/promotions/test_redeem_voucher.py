"""A voucher in checkout, and GET /api/promotions/vouchers/<code>/"""

import datetime
import threading
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone

from monolith.ordering.models import Order
from monolith.promotions.errors import VoucherUsedUp
from monolith.promotions.models import Redemption
from monolith.promotions.services import redeem_voucher
from tests.contexts.factories import ADDRESS, a_product, a_user, a_voucher, an_order, stock_of

YESTERDAY = timezone.now() - datetime.timedelta(days=1)


@pytest.fixture
def rug(db):
    product = a_product(price="12.50")
    stock_of(product, 9)
    return product


def test_a_voucher_is_taken_off_the_order_and_counted(ask, rug):
    voucher = a_voucher(percent=20)
    order = an_order(ask("buyer"), rug, 2, voucher="garish-20")
    voucher.refresh_from_db()
    assert (str(order.total), str(order.redemption.amount), voucher.redeemed) == ("20.00", "5.00", 1)
    assert str(order.payment.amount) == "20.00"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"code": "OTHER"}, "unknown_voucher"),
        ({"valid_until": YESTERDAY}, "voucher_not_valid"),
        ({"limit": 3, "redeemed": 3}, "voucher_used_up"),
        ({"minimum": "25.01"}, "order_too_small"),
    ],
)
def test_a_voucher_that_does_not_hold_is_refused_and_nothing_is_ordered(ask, rug, fields, code):
    a_voucher(**fields)
    client = ask("buyer")
    client.put(f"/api/ordering/cart/{rug.pk}/", {"quantity": 2})
    checked = client.get("/api/promotions/vouchers/GARISH-20/")
    answer = client.post("/api/ordering/orders/", {"address": ADDRESS, "voucher": "GARISH-20"})
    assert (
        (checked.status_code, checked.json()["code"])
        == (answer.status_code, answer.json()["code"])
        == (409, code)
    )
    assert not Order.objects.exists()
    assert rug.stock.get().reserved == 0


def test_a_buyer_redeems_a_voucher_no_more_often_than_its_limit_per_buyer(ask, rug):
    a_voucher(limit_per_buyer=1)
    buyer = ask("buyer")
    an_order(buyer, rug, voucher="GARISH-20")
    buyer.put(f"/api/ordering/cart/{rug.pk}/", {"quantity": 1})
    answer = buyer.post("/api/ordering/orders/", {"address": ADDRESS, "voucher": "GARISH-20"})
    assert answer.json()["code"] == "voucher_used_up"
    stranger = ask("anonymous")
    stranger.force_login(a_user("stranger"))
    an_order(stranger, rug, voucher="GARISH-20")


def test_a_voucher_for_somebody_else_is_unknown(ask, rug):
    a_voucher().buyers.add(a_user("somebody"))
    answer = ask("buyer").get("/api/promotions/vouchers/GARISH-20/")
    assert answer.json()["code"] == "unknown_voucher"


def test_a_voucher_says_what_it_would_take_off_the_cart(ask, rug):
    a_voucher()
    client = ask("buyer")
    client.put(f"/api/ordering/cart/{rug.pk}/", {"quantity": 2})
    assert client.get("/api/promotions/vouchers/garish-20/").json()["discount"] == "5.00"
    assert not Redemption.objects.exists()


def test_a_cancelled_order_gives_its_voucher_back(ask, rug):
    voucher = a_voucher(limit_per_buyer=1)
    buyer = ask("buyer")
    order = an_order(buyer, rug, voucher="GARISH-20")
    buyer.post(f"/api/ordering/orders/{order.pk}/cancel/")
    voucher.refresh_from_db()
    assert voucher.redeemed == 0
    an_order(buyer, rug, voucher="GARISH-20")


def test_the_checkout_page_takes_a_voucher_and_refuses_one_at_its_field(visit, rug):
    a_voucher()
    browser = visit("buyer")
    browser.post(f"/cart/{rug.pk}/add/", {"quantity": 2})
    page = browser.post("/checkout/", ADDRESS | {"voucher": "HATS"})
    assert page.context["form"].errors.keys() == {"voucher"}
    page = browser.post("/checkout/", ADDRESS | {"voucher": "GARISH-20"}, follow=True)
    assert "With GARISH-20 you saved" in page.text
    assert "voucher" not in Order.objects.get().address


@pytest.mark.django_db(transaction=True)
def test_of_two_checkouts_at_once_one_gets_the_last_redemption():
    voucher = a_voucher(limit=1)
    orders = [
        Order.objects.create(number=f"P-{name}", buyer=a_user(name), address=ADDRESS, total=Decimal("25.00"))
        for name in ("ada", "bruno")
    ]
    both_have_begun, came_of_it = threading.Barrier(2, timeout=10), []

    def check_out(order):
        try:
            with transaction.atomic():
                both_have_begun.wait()
                redeem_voucher(code=voucher.code, order=order)
            came_of_it.append("redeemed")
        except VoucherUsedUp:
            came_of_it.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=check_out, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    voucher.refresh_from_db()
    assert (sorted(came_of_it), voucher.redeemed) == (["redeemed", "refused"], 1)


def test_a_voucher_is_found_however_its_code_was_entered(ask, rug):
    a_voucher("Garish-Summer")
    assert an_order(ask("buyer"), rug, voucher="garish-summer").redemption
