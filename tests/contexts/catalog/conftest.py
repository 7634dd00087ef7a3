"""The catalog's suite meets either home, and imports neither; `--home catalog` chooses the service."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# What is the monolith's alone: its pages, what they and the admin announce, and what hangs together in it.
MONOLITH_ONLY = ("test_*_pages.py", "test_announce_changes.py", "test_let_go.py", "test_no_crossings.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    elsewhere = config.getoption("--home") != "monolith"
    return True if elsewhere and any(map(collection_path.match, MONOLITH_ONLY)) else None


@pytest.fixture
def home() -> SimpleNamespace:
    """The modules of the home that is here, found through Django's registry."""
    from django.apps import apps

    name = apps.get_app_config("catalog").name
    modules = ("models", "selectors", "serializers", "api", "urls")
    return SimpleNamespace(name=name, **{module: import_module(f"{name}.{module}") for module in modules})


@pytest.fixture
def bearer(db: None) -> Callable[[str], Any]:
    """A client with a token for a role: buyer, staff (of Rugs and Rotors), other_staff, support or admin;
    `anonymous` has none."""
    from joserfc.jwk import ECKey
    from rest_framework.test import APIClient

    from strangler.chassis.identity import Caller, sign

    from .rows import a_person, a_seller, an_employment

    key = ECKey.import_key(json.loads(Path(os.environ["IDENTITY_KEY_FILE"]).read_text()))
    employers = {"staff": "Rugs and Rotors", "other_staff": "Rivals"}

    def client_of(role: str) -> APIClient:
        client = APIClient()
        if role != "anonymous":
            word = "seller_staff" if role in employers else role
            person, sellers = a_person(role, word), ()
            if role in employers:
                seller = a_seller(employers[role])
                an_employment(person, seller)
                sellers = (seller.pk,)
            caller = Caller(str(person), word, sellers, name=role)
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign(caller, key, lifetime=60)}")
        return client

    return client_of


@pytest.fixture
def buys(db: None, settings: Any) -> Iterator[Callable[[str, Any], None]]:
    """Lets the person of a role, or of any name, buy a product."""
    from .neighbours import neighbours
    from .rows import a_person

    settings.IDENTITY_JWKS_URL = os.environ["IDENTITY_JWKS_URL"]
    with neighbours(settings, a_person) as buys:
        yield buys


@pytest.fixture
def announced(db: None) -> Callable[[], list[tuple[str, Any]]]:
    """What was announced since the last look: [(type, data)]."""
    from django.db import connection

    reached = 0

    def since() -> list[tuple[str, Any]]:
        nonlocal reached
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT seq, type, data::text FROM strangler_outbox_event WHERE seq > %s ORDER BY seq",
                [reached],
            )
            found = cursor.fetchall()
        reached = found[-1][0] if found else reached
        return [(type, json.loads(data)) for _, type, data in found]

    since()
    return since
