"""What payments ask of the provider, which is no part of the marketplace: money over HTTP, and who signs."""

from __future__ import annotations

import hashlib
import hmac
import time
from decimal import Decimal
from typing import Any

import httpx
from django.conf import settings

from .errors import PaymentDeclined, ProviderFailed

SIGNATURE = "Provider-Signature"  # t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>", in hex>
TOLERANCE = 300  # seconds that a signature stays good


def is_configured() -> bool:
    """Whether there is a provider; without one, orders are on account."""
    return bool(settings.PAYMENT_PROVIDER_URL)


def authorise(*, number: str, amount: Decimal, currency: str) -> str:
    """Have the amount set aside; returns the provider's reference. Raises PaymentDeclined, ProviderFailed."""
    asked = {"reference": number, "amount": f"{amount:.2f}", "currency": currency}
    return str(_ask("/payments", asked)["id"])


def capture(reference: str) -> None:
    """Take what was set aside. Raises ProviderFailed."""
    _ask(f"/payments/{reference}/capture")


def refund(reference: str) -> None:
    """Give back what was set aside or taken. Raises ProviderFailed."""
    _ask(f"/payments/{reference}/refund")


def _ask(path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    url = settings.PAYMENT_PROVIDER_URL.rstrip("/") + path
    try:
        answer = httpx.post(url, json=body or {}, timeout=settings.PAYMENT_PROVIDER_TIMEOUT)
        if answer.status_code == 402:
            raise PaymentDeclined
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as failure:
        raise ProviderFailed from failure
    return found


def is_signed(body: bytes, signature: str) -> bool:
    """Whether the provider has signed `body` in the last minutes with the secret that both know."""
    parts = dict(part.partition("=")[::2] for part in signature.split(","))
    moment, secret = parts.get("t", ""), settings.PAYMENT_PROVIDER_SECRET
    if not secret or not moment.isdecimal() or abs(time.time() - int(moment)) > TOLERANCE:
        return False
    wanted = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, parts.get("v1", ""))
