"""What payments announce, whoever moves the money."""

import pytest

from monolith.payments.models import Payment
from monolith.payments.services import hear_provider
from tests.contexts.factories import a_product, an_order, stock_of


@pytest.fixture
def order(ask, provider):
    product = a_product(price="12.50")
    stock_of(product, 9)
    return an_order(ask("buyer"), product)


@pytest.fixture
def announced(deliver):
    """What payments announced since the last look: [(type, data)]."""
    return lambda: [(one.type, one.data) for one in deliver() if one.type.startswith("payments.")]


def test_money_that_is_set_aside_is_announced_by_nobody(order, announced):
    assert announced() == []


def test_money_that_is_taken_and_given_back_is_announced(ask, order, announced):
    support = ask("support")
    support.post(f"/api/ordering/orders/{order.pk}/ship/")
    support.post(f"/api/payments/payments/{order.payment.pk}/refund/")
    payment = Payment.objects.get()
    facts = {
        "payment": payment.pk, "order": order.pk, "number": order.number, "payer": order.buyer_id,
        "amount": "12.50", "currency": "EUR", "on_account": False,
    }  # fmt: skip
    assert announced() == [
        ("payments.payment_captured", facts | {"state": "captured"}),
        ("payments.payment_refunded", facts | {"state": "refunded"}),
    ]


def test_what_the_provider_tells_twice_is_announced_once(order, announced):
    for event in ("evt_1", "evt_1", "evt_2"):
        hear_provider(event=event, kind="payment.captured", reference=order.payment.reference)
    assert [type for type, _ in announced()] == ["payments.payment_captured"]
