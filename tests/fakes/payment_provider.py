"""A payment provider for one machine: authorises, captures, refunds, and tells of it by signed webhooks.

    python -m tests.fakes.payment_provider --port 9100 --webhooks http://127.0.0.1:8000/api/payments/webhooks/

Somebody else's program, as a real provider's would be: it shares nothing with the marketplace but HTTP.

    POST /payments                 {"reference", "amount", "currency"}: 201, or 402 declined
    POST /payments/<id>/capture    200, or 409 where its state doesn't allow it
    POST /payments/<id>/refund     200, from authorised and captured
    GET  /payments/<id>            200
    GET  /payments?reference=R     200 with {"payments": [...]}
    GET  /health                   200

A payment is {"id", "reference", "amount", "currency", "state"}. Each change of state is sent to the webhooks'
address as {"id", "type": "payment.<state>", "payment", "reference", "amount", "currency"}, signed in
`Provider-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<t>.<body>">`, and again after a growing pause until
it is answered with 2xx. An event that is repeated may come after a later one.

Failures on demand: an amount that is an HTTP status (MOODS), or one of its words in `Provider-Mood`.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import re
import secrets
import signal
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

MOODS = {
    "402.00": "decline",
    "408.00": "slow",  # the answer comes after SLOW seconds; the money is set aside all the same
    "500.00": "fail",
    "208.00": "twice",  # every event is sent twice
}
SLOW = 2.0  # seconds
PAUSES = (0.05, 0.2, 0.5, 1, 2, 5, 10, 30, 60)  # seconds before each attempt to deliver a webhook
MOVES = {
    ("authorised", "capture"): "captured",
    ("authorised", "refund"): "refunded",
    ("captured", "refund"): "refunded",
}


class Refused(Exception):
    """An answer that isn't the one that was hoped for."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Ledger:
    """Payments by id; `journal` keeps them for the next start, one change a line."""

    def __init__(self, journal: Path | None = None) -> None:
        self.payments: dict[str, dict[str, str]] = {}
        self._lock = threading.RLock()
        self._journal = journal
        if journal and journal.exists():
            for line in journal.read_text().splitlines():
                self._keep(json.loads(line))

    def authorise(self, asked: dict[str, Any]) -> dict[str, str]:
        try:
            amount = Decimal(asked["amount"])
            known = {"reference": str(asked["reference"]), "currency": str(asked["currency"])}
        except (KeyError, TypeError, InvalidOperation) as reason:
            raise Refused(400, "wanted: reference, amount, currency") from reason
        if not amount.is_finite() or amount < 0:
            raise Refused(400, "an amount is zero or more")
        return self._record(
            {"id": f"pay_{secrets.token_hex(8)}", "amount": f"{amount:.2f}", "state": "authorised"} | known
        )

    def move(self, key: str, verb: str) -> tuple[dict[str, str], bool]:
        """The payment after `verb`, and whether that changed anything: a verb may be repeated."""
        with self._lock:
            payment = self.get(key)
            state = MOVES.get((payment["state"], verb))
            if state is None and payment["state"] in {to for (_, by), to in MOVES.items() if by == verb}:
                return payment, False
            if state is None:
                raise Refused(409, f"the payment is {payment['state']}")
            return self._record(payment | {"state": state}), True

    def get(self, key: str) -> dict[str, str]:
        if key not in self.payments:
            raise Refused(404, "there is no such payment")
        return self.payments[key]

    def _record(self, payment: dict[str, str]) -> dict[str, str]:
        with self._lock:
            if self._journal:
                with self._journal.open("a") as file:
                    file.write(json.dumps(payment) + "\n")
            return self._keep(payment)

    def _keep(self, payment: dict[str, str]) -> dict[str, str]:
        self.payments[payment["id"]] = payment
        return payment


class PaymentProvider:
    """The server with its webhooks; a context manager. `url` is where it answers, without a trailing slash.

    `events` are the webhooks in the order of the changes, whether they have been delivered or not.
    """

    def __init__(
        self, *, secret: str, webhooks: str = "", port: int = 0, journal: Path | None = None
    ) -> None:
        self.ledger = Ledger(journal)
        self.events: list[dict[str, str]] = []
        self._secret, self._webhooks = secret, webhooks
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> PaymentProvider:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def sign(self, body: bytes, moment: int | None = None) -> str:
        """The header for a webhook's body, signed at `moment` (seconds since 1970), now by default."""
        moment = int(time.time()) if moment is None else moment
        digest = hmac.new(self._secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        return f"t={moment},v1={digest}"

    def tell(self, payment: dict[str, str], times: int = 1) -> None:
        """Send an event of the payment's state until it is taken, `times` times over."""
        event = {"id": f"evt_{secrets.token_hex(8)}", "type": f"payment.{payment['state']}"}
        event |= {"payment": payment["id"]} | {
            name: payment[name] for name in ("reference", "amount", "currency")
        }
        self.events.append(event)
        if self._webhooks:
            for _ in range(times):
                threading.Thread(
                    target=self._deliver, args=(json.dumps(event).encode(),), daemon=True
                ).start()

    def _deliver(self, body: bytes) -> None:
        for pause in PAUSES:
            if self._stopping.wait(pause):
                return
            headers = {"Content-Type": "application/json", "Provider-Signature": self.sign(body)}
            try:
                request = urllib.request.Request(self._webhooks, body, headers)
                with urllib.request.urlopen(request, timeout=10):
                    return
            except urllib.error.HTTPError as refusal:
                refusal.close()
            except OSError:
                pass  # not up, or gone: after the next pause


def _handler(provider: PaymentProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer_with(self._find)

        def do_POST(self) -> None:
            self._answer_with(self._change)

        def _find(self) -> tuple[int, Any]:
            path, ledger = urlsplit(self.path), provider.ledger
            if path.path == "/health":
                return 200, {"status": "ok"}
            if path.path == "/payments":
                wanted = parse_qs(path.query).get("reference", [])
                rows = list(ledger.payments.values())
                return 200, {"payments": [one for one in rows if one["reference"] in wanted]}
            if found := re.fullmatch(r"/payments/(\w+)", path.path):
                return 200, ledger.get(found[1])
            raise Refused(404, "nothing answers here")

        def _change(self) -> tuple[int, Any]:
            asked = self._body()
            mood = self.headers.get("Provider-Mood") or MOODS.get(str(asked.get("amount")), "")
            if mood == "decline":
                raise Refused(402, "the card was declined")
            if mood == "fail":
                raise Refused(500, "something failed on the provider's side")
            status, changed = 200, True
            if self.path == "/payments":
                status, payment = 201, provider.ledger.authorise(asked)
            elif found := re.fullmatch(r"/payments/(\w+)/(capture|refund)", self.path):
                payment, changed = provider.ledger.move(found[1], found[2])
            else:
                raise Refused(404, "nothing answers here")
            if changed:
                mood = mood or MOODS.get(payment["amount"], "")
                provider.tell(payment, times=2 if mood == "twice" else 1)
            if mood == "slow":
                time.sleep(SLOW)
            return status, payment

        def _body(self) -> dict[str, Any]:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"
            try:
                asked = json.loads(text)
            except ValueError as reason:
                raise Refused(400, "that isn't JSON") from reason
            if not isinstance(asked, dict):
                raise Refused(400, "wanted: a JSON object")
            return asked

        def _answer_with(self, make: Any) -> None:
            try:
                status, answer = make()
            except Refused as refusal:
                status, answer = refusal.status, {"error": str(refusal)}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked has stopped waiting
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="A payment provider for one machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhooks", default="", help="where webhooks go; without it, nowhere")
    parser.add_argument("--secret", default="for-this-machine-only", help="what webhooks are signed with")
    parser.add_argument("--journal", type=Path, help="a file that keeps the payments for the next start")
    asked = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with PaymentProvider(
        secret=asked.secret, webhooks=asked.webhooks, port=asked.port, journal=asked.journal
    ) as provider:
        print(f"payments at {provider.url}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
