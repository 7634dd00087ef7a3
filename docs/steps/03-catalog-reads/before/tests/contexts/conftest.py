"""What the contexts' suites share: callers of every role, who ask over the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def ask(db: None) -> Callable[[str], Any]:
    """A client for a role: anonymous, buyer, staff (of Rugs and Rotors), other_staff, support or admin."""
    from rest_framework.test import APIClient

    return lambda role: _sign_in(APIClient(), role)


@pytest.fixture
def visit(db: None) -> Callable[[str], Any]:
    """A browser for one of the same roles, with a session: it sends forms and not JSON."""
    from django.test import Client

    return lambda role: _sign_in(Client(), role)


@pytest.fixture
def provider(settings: Any) -> Iterator[Any]:
    """A payment provider that the monolith asks; its webhooks go nowhere, and are found in `events`."""
    from tests.fakes.payment_provider import PaymentProvider

    with PaymentProvider(secret="ties-the-room") as provider:
        settings.PAYMENT_PROVIDER_URL = provider.url
        settings.PAYMENT_PROVIDER_SECRET = "ties-the-room"
        settings.PAYMENT_PROVIDER_TIMEOUT = 1.0
        yield provider


def _sign_in(client: Any, role: str) -> Any:
    # Not at the top: pytest reads this file before Django is set up.
    from .factories import a_seller, a_user

    if role == "anonymous":
        return client
    if role == "staff":
        user = a_user("staff", "seller_staff")
        a_seller(staff=(user,))
    elif role == "other_staff":
        user = a_user("other_staff", "seller_staff")
        a_seller("Rivals", staff=(user,))
    else:
        user = a_user(role, role)
    client.force_login(user)
    return client
