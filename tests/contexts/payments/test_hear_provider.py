"""POST /api/payments/webhooks/"""

import json
import time

import pytest

from monolith.payments.models import Payment, ProviderEvent
from tests.contexts.factories import a_product, an_order, stock_of


@pytest.fixture
def order(ask, provider):
    product = a_product()
    stock_of(product, 9)
    return an_order(ask("buyer"), product)


@pytest.fixture
def send(ask, provider):
    """Sends an event as the provider does, with its signature unless another one is given."""

    def sending(event, signature=None):
        body = json.dumps(event).encode()
        headers = {"Provider-Signature": provider.sign(body) if signature is None else signature}
        return ask("anonymous").post(
            "/api/payments/webhooks/", body, content_type="application/json", headers=headers
        )

    return sending


def told(order, kind, event="evt_1"):
    return {"id": event, "type": kind, "payment": order.payment.reference}


def test_what_the_provider_has_sent_is_taken(provider, order, send):
    (event,) = provider.events
    assert event["type"] == "payment.authorised"
    assert send(event).status_code == 204
    assert ProviderEvent.objects.get().payment == order.payment


def test_a_payment_follows_what_the_provider_tells(order, send):
    send(told(order, "payment.captured"))
    assert Payment.objects.get().state == "captured"


def test_an_event_that_comes_twice_counts_once(order, send):
    for _ in range(2):
        assert send(told(order, "payment.captured")).status_code == 204
    assert ProviderEvent.objects.count() == 1


def test_an_event_that_comes_late_leads_nowhere_back(order, send):
    send(told(order, "payment.refunded", "evt_2"))
    assert send(told(order, "payment.captured", "evt_1")).status_code == 204
    assert Payment.objects.get().state == "refunded"


def test_an_event_about_a_payment_that_is_not_here_yet_is_to_be_sent_again(order, send):
    answer = send({"id": "evt_1", "type": "payment.authorised", "payment": "pay_unknown"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_payment")
    assert not ProviderEvent.objects.exists()


def test_an_event_of_a_kind_that_nobody_knows_changes_nothing(order, send):
    assert send(told(order, "payment.disputed")).status_code == 204
    assert Payment.objects.get().state == "authorised"


@pytest.mark.parametrize("signature", ["", "t=1,v1=00", "t=x,v1=00", "v1", "t=,v1=", "stale", "foreign"])
def test_what_the_provider_has_not_signed_is_thrown_away(provider, order, send, signature):
    event = told(order, "payment.refunded")
    body = json.dumps(event).encode()
    if signature == "stale":
        signature = provider.sign(body, int(time.time()) - 3600)
    elif signature == "foreign":
        signature = provider.sign(body + b" ")
    assert send(event, signature).json()["code"] == "bad_webhook"
    assert Payment.objects.get().state == "authorised"


def test_without_a_secret_nothing_is_believed(provider, order, send, settings):
    settings.PAYMENT_PROVIDER_SECRET = ""
    assert send(told(order, "payment.captured")).status_code == 400


@pytest.mark.parametrize("event", [[], "x", {}, {"id": "evt_1", "type": "payment.captured"}])
def test_a_webhook_that_says_nothing_is_refused(order, send, event):
    assert send(event).status_code == 400
