"""What the contexts' suites share: callers of every role, who ask over the API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MAILS_LEAVE = "notifications.post"
UNDELIVERED = """
SELECT seq, key_seq, headers::text, data::text FROM strangler_outbox_event WHERE seq > %s ORDER BY seq
"""


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
def boss(visit: Callable[[str], Any]) -> Any:
    """A browser that is signed in to the admin, with every right there."""
    from .factories import a_user

    boss = visit("anonymous")
    boss.force_login(a_user("boss", "admin", is_superuser=True, is_staff=True))
    return boss


@pytest.fixture
def address(transactional_db: None, live_server: Any) -> Iterator[str]:
    """Where this very home answers over HTTP, on another thread."""
    from strangler.chassis.http_client import client

    yield live_server.url
    client(live_server.url).close()
    client.cache_clear()


@pytest.fixture
def provider(settings: Any) -> Iterator[Any]:
    """A payment provider that the monolith asks; its webhooks go nowhere, and are found in `events`."""
    from tests.fakes.payment_provider import PaymentProvider

    with PaymentProvider(secret="ties-the-room") as provider:
        settings.PAYMENT_PROVIDER_URL = provider.url
        settings.PAYMENT_PROVIDER_SECRET = "ties-the-room"
        settings.PAYMENT_PROVIDER_TIMEOUT = 1.0
        yield provider


@pytest.fixture
def deliver(db: None) -> Callable[..., list[Any]]:
    """Hands on what was announced since the last call, until nothing more is; returns those events.

    To all subscriptions, or to those of the given names. The one that sends mails has to be named: it writes
    on a connection of its own, which sees only what was committed. What is parked fails the test, unless it
    says `parked=True`.
    """
    from django.db import connection

    from strangler.chassis.envelope import JSON_TYPE, Message
    from strangler.chassis.inbox import subscriptions
    from strangler.chassis.inbox.receiving import Delivery, receive

    def rows(statement: str, *values: Any) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    # A test that commits leaves these tables as they are: no model tells Django of them.
    rows("DELETE FROM strangler_inbox_parked")
    reached = rows("SELECT coalesce(max(seq), 0) FROM strangler_outbox_event")[0][0]

    def deliver(*names: str, parked: bool = False) -> list[Any]:
        nonlocal reached
        heard = []
        wanted = [one for one in subscriptions.declared(list(names)) if names or one.name != MAILS_LEAVE]
        while found := rows(UNDELIVERED, reached):
            reached = found[-1][0]
            deliveries = [
                Delivery.of(
                    Message(json.loads(headers) | {"ce-sequence": str(number)}, JSON_TYPE, data.encode())
                )
                for _, number, headers, data in found
            ]
            heard += [one.event for one in deliveries]
            for one in wanted:
                receive(one, [each for each in deliveries if each.event and each.event.type in one.types])
        assert parked or not rows("SELECT key, reason FROM strangler_inbox_parked")
        return heard

    return deliver


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
