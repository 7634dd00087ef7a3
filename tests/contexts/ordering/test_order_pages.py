"""GET /orders/<number>/, and cancelling and shipping from it"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monolith.ordering.models import Note, Order, OrderLine
from tests.contexts.factories import ADDRESS, a_product, a_seller, a_user, stock_of


@pytest.fixture
def order(visit):
    """The buyer's order of two rugs."""
    product, browser = a_product(price="12.50"), visit("buyer")
    stock_of(product, 5)
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    browser.post("/checkout/", ADDRESS)
    return Order.objects.get()


def url(order, then=""):
    return f"/orders/{order.number}/{then}"


def test_an_order_shows_its_lines_address_and_reservations(visit, order):
    page = visit("buyer").get(url(order))
    for text in (order.number, "Garish Rug", "25.00", "Mill Lane 7", "2 pieces set aside in HAM"):
        assert text in page.text


@pytest.mark.parametrize(
    ("role", "answer"),
    [
        ("buyer", 200),
        ("support", 200),
        ("admin", 200),
        ("staff", 404),
        ("other_buyer", 404),
        ("anonymous", 302),
    ],
)
def test_an_order_is_shown_to_its_buyer_support_and_admins_alone(visit, order, role, answer):
    a_user("other_buyer", "buyer")
    browser = visit("anonymous" if role == "other_buyer" else role)
    if role == "other_buyer":
        browser.force_login(a_user("other_buyer"))
    assert browser.get(url(order)).status_code == answer


def test_notes_are_shown_to_support_but_not_to_the_buyer(visit, order):
    Note.objects.create(subject=order, author=a_user("support", "support"), text="Asked on the telephone.")
    assert "Asked on the telephone." in visit("support").get(url(order)).text
    assert "Asked on the telephone." not in visit("buyer").get(url(order)).text


def test_a_buyer_cancels_an_order_that_has_not_left(visit, order):
    page = visit("buyer").post(url(order, "cancel/"), follow=True)
    assert "is cancelled." in page.text
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert not order.reservations.exists()


def test_what_has_left_is_not_cancelled(visit, order):
    visit("support").post(url(order, "ship/"))
    page = visit("buyer").post(url(order, "cancel/"), follow=True)
    assert "can&#x27;t be cancelled any more" in page.text
    order.refresh_from_db()
    assert order.status == "shipped"


@pytest.mark.parametrize(("role", "then", "answer"), [("buyer", "ship/", 403), ("staff", "cancel/", 404)])
def test_nobody_moves_an_order_that_is_not_theirs_to_move(visit, order, role, then, answer):
    assert visit(role).post(url(order, then)).status_code == answer
    order.refresh_from_db()
    assert order.status == "placed"


@pytest.mark.parametrize("number", ["P-99999999", "P-1%00", "..", "%2e%2e"])
def test_an_order_that_is_none_is_not_found(visit, number):
    assert visit("support").get(f"/orders/{number}/").status_code == 404


def test_more_lines_cost_no_more_queries(visit, order):
    browser = visit("buyer")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            browser.get(url(order))
        return len(captured)

    few = queries()
    for number in range(4):
        product = a_product(f"N{number}", seller=a_seller(f"S{number}"))
        OrderLine.objects.create(order=order, product=product, quantity=1, unit_price="1.00")
    assert queries() == few
