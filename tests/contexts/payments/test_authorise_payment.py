"""The money of an order, from checkout on: on account, or at the provider"""

import pytest
from django.db.models.signals import post_save

from monolith.fulfilment.models import Shipment
from monolith.ordering.models import Order
from monolith.payments.models import Payment
from tests.contexts.factories import ADDRESS, a_product, a_voucher, an_order, stock_of


def a_rug(price="12.50"):
    product = a_product(price=price)
    stock_of(product, 9)
    return product


def go_to_checkout(client, product):
    """What the checkout of one piece is answered with, when it fails too."""
    client.raise_request_exception = False
    client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 1})
    return client.post("/api/ordering/orders/", {"address": ADDRESS})


def at_provider(provider):
    return [(one["reference"], one["amount"], one["state"]) for one in provider.ledger.payments.values()]


def test_without_a_provider_an_order_is_on_account(ask):
    order = an_order(ask("buyer"), a_rug())
    assert (order.payment.state, order.payment.reference, str(order.payment.amount)) == (
        "on_account",
        None,
        "12.50",
    )


def test_checkout_has_the_total_set_aside_at_the_provider(ask, provider):
    a_voucher(percent=20)
    order = an_order(ask("buyer"), a_rug(), 2, voucher="GARISH-20")
    assert order.payment.state == "authorised"
    assert at_provider(provider) == [(order.number, "20.00", "authorised")]


def test_what_leaves_is_paid(ask, provider):
    order = an_order(ask("buyer"), a_rug())
    assert ask("support").post(f"/api/ordering/orders/{order.pk}/ship/").status_code == 200
    assert Payment.objects.get().state == "captured"
    assert at_provider(provider) == [(order.number, "12.50", "captured")]


@pytest.mark.parametrize(
    ("price", "status", "code"),
    [
        ("402.00", 402, "payment_declined"),
        ("500.00", 503, "provider_failed"),
        ("408.00", 503, "provider_failed"),
    ],
)
def test_without_the_money_nothing_is_ordered_and_the_cart_stays(ask, provider, price, status, code):
    rug, client = a_rug(price), ask("buyer")
    answer = go_to_checkout(client, rug)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Order.objects.exists()
    assert rug.stock.get().reserved == 0
    assert len(client.get("/api/ordering/cart/").json()["lines"]) == 1


def test_an_order_is_refused_while_the_provider_is_gone(ask, settings):
    settings.PAYMENT_PROVIDER_URL = "http://127.0.0.1:9"
    assert go_to_checkout(ask("buyer"), a_rug()).status_code == 503


def test_the_checkout_page_says_that_the_payment_was_declined(visit, provider):
    rug, browser = a_rug("402.00"), visit("buyer")
    browser.post(f"/cart/{rug.pk}/add/", {"quantity": 1})
    page = browser.post("/checkout/", ADDRESS)
    assert "was declined" in page.context["form"].non_field_errors()[0]


def test_the_orders_page_shows_how_far_the_money_is(visit, ask, provider):
    order = an_order(ask("buyer"), a_rug())
    assert "Authorised" in visit("buyer").get(f"/orders/{order.number}/").text


def test_a_checkout_that_fails_after_the_payment_leaves_the_money_set_aside(ask, provider):
    """The knot, shown: the provider was asked inside of the transaction, and rolls nothing back."""

    def break_down(**kwargs):
        raise RuntimeError("no room on the ramp")

    post_save.connect(break_down, sender=Shipment)
    try:
        assert go_to_checkout(ask("buyer"), a_rug()).status_code == 500
    finally:
        post_save.disconnect(break_down, sender=Shipment)
    assert not Order.objects.exists()
    assert not Payment.objects.exists()
    ((_, amount, state),) = at_provider(provider)
    assert (amount, state) == ("12.50", "authorised")
