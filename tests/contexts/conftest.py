"""What the contexts' suites share: callers of every role, who ask over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def ask(db: None) -> Callable[[str], Any]:
    """A client for a role: anonymous, buyer, staff (of Rugs and Rotors), other_staff, support or admin."""
    # Not at the top: pytest reads this file before Django is set up.
    from rest_framework.test import APIClient

    from .factories import a_seller, a_user

    def client_of(role: str) -> APIClient:
        client = APIClient()
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

    return client_of


@pytest.fixture
def visit(ask: Callable[[str], Any]) -> Callable[[str], Any]:
    """A browser for a role: like `ask`, but it sends forms and not JSON."""
    from django.test import Client

    def browser_of(role: str) -> Client:
        browser = Client()
        browser.cookies = ask(role).cookies
        return browser

    return browser_of
