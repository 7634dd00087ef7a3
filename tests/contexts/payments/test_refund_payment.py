"""POST /api/payments/payments/<pk>/refund/, and the money of cancelled orders"""

import datetime

import pytest
from django.utils import timezone

from monolith.inventory.models import Reservation
from monolith.inventory.tasks import release_expired_reservations
from monolith.payments.models import Payment
from tests.contexts.factories import a_product, a_user, an_order, stock_of


@pytest.fixture
def order(ask, provider):
    product = a_product(price="12.50")
    stock_of(product, 9)
    return an_order(ask("buyer"), product)


def states(provider):
    return Payment.objects.get().state, *(one["state"] for one in provider.ledger.payments.values())


def test_a_cancelled_order_gives_its_money_back(ask, provider, order):
    ask("buyer").post(f"/api/ordering/orders/{order.pk}/cancel/")
    assert states(provider) == ("refunded", "refunded")


def test_an_expired_order_gives_its_money_back(provider, order):
    Reservation.objects.update(expires_at=timezone.now() - datetime.timedelta(minutes=1))
    assert release_expired_reservations() == 1
    assert states(provider) == ("refunded", "refunded")


def test_support_gives_back_what_was_captured_once(ask, provider, order):
    support, url = ask("support"), f"/api/payments/payments/{order.payment.pk}/refund/"
    assert support.post(url).json()["code"] == "not_refundable"
    support.post(f"/api/ordering/orders/{order.pk}/ship/")
    assert ask("buyer").post(url).status_code == 403
    assert support.post(url).json()["state"] == "refunded"
    assert states(provider) == ("refunded", "refunded")
    assert support.post(url).status_code == 409


def test_payments_are_shown_to_their_payer_support_and_admins(ask, order):
    stranger = ask("anonymous")
    stranger.force_login(a_user("stranger"))
    url = f"/api/payments/payments/{order.payment.pk}/"
    for client, answer in [
        (ask("buyer"), 200),
        (ask("admin"), 200),
        (stranger, 404),
        (ask("anonymous"), 401),
    ]:
        assert client.get(url).status_code == answer
