"""The local payment provider itself: it is believed by the tests beside it"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.fakes.payment_provider import PaymentProvider
from tests.waiting import until

ORDER = {"reference": "P-00000001", "amount": "12.50", "currency": "EUR"}


@pytest.fixture
def listener():
    """Refuses the first two webhooks, and takes the others; `heard` has (signature, body) of all."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.heard.append((self.headers["Provider-Signature"], body))
            self.send_response(404 if len(server.heard) <= 2 else 204)
            self.end_headers()

        def log_message(self, format, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.heard = []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_money_is_set_aside_taken_and_given_back_once_however_often_it_is_asked(provider):
    payment = httpx.post(f"{provider.url}/payments", json=ORDER).json()
    url = f"{provider.url}/payments/{payment['id']}"
    for verb, state in [("capture", "captured"), ("capture", "captured"), ("refund", "refunded")]:
        assert httpx.post(f"{url}/{verb}").json()["state"] == state
    assert httpx.post(f"{url}/capture").status_code == 409
    assert httpx.get(url).json() == payment | {"state": "refunded"}
    assert [event["type"].partition(".")[2] for event in provider.events] == [
        "authorised",
        "captured",
        "refunded",
    ]
    assert httpx.get(f"{provider.url}/payments", params={"reference": "P-00000001"}).json()["payments"]


@pytest.mark.parametrize("mood", [{"amount": "402.00"}, {}])
def test_it_declines_by_amount_and_by_header(provider, mood):
    headers = {} if mood else {"Provider-Mood": "decline"}
    assert httpx.post(f"{provider.url}/payments", json=ORDER | mood, headers=headers).status_code == 402
    assert not provider.ledger.payments


@pytest.mark.parametrize("asked", [[], {}, ORDER | {"amount": "much"}, ORDER | {"amount": "-1"}])
def test_it_refuses_what_it_does_not_understand(provider, asked):
    assert httpx.post(f"{provider.url}/payments", json=asked).status_code == 400


def test_a_webhook_is_signed_and_sent_again_until_it_is_taken(listener):
    address = f"http://127.0.0.1:{listener.server_port}/"
    with PaymentProvider(secret="ties-the-room", webhooks=address) as provider:
        httpx.post(f"{provider.url}/payments", json=ORDER)
        until(lambda: len(listener.heard) == 3)
    assert {json.loads(body)["id"] for _, body in listener.heard} == {provider.events[0]["id"]}
    for signature, body in listener.heard:
        moment = int(signature.partition(",")[0].removeprefix("t="))
        assert signature == provider.sign(body, moment)


def test_it_sends_an_event_twice_where_the_amount_says_so(listener):
    listener.heard += [("", b""), ("", b"")]
    with PaymentProvider(secret="x", webhooks=f"http://127.0.0.1:{listener.server_port}/") as provider:
        httpx.post(f"{provider.url}/payments", json=ORDER | {"amount": "208.00"})
        until(lambda: len(listener.heard) == 4)
    assert listener.heard[2][1] == listener.heard[3][1]


def test_its_journal_keeps_payments_for_the_next_start(tmp_path):
    journal = tmp_path / "payments.jsonl"
    with PaymentProvider(secret="x", journal=journal) as first:
        payment = httpx.post(f"{first.url}/payments", json=ORDER).json()
        httpx.post(f"{first.url}/payments/{payment['id']}/capture")
    with PaymentProvider(secret="x", journal=journal) as second:
        assert second.ledger.payments == {payment["id"]: payment | {"state": "captured"}}
