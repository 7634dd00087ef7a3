"""Statements say which context they come from."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from strangler.chassis.callsites import marking

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def marked(settings):
    """The chassis' call sites, whether or not this process's settings have them."""
    settings.CALLSITES_ROOT = "shop"
    marking.begin()


def statements(act) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"] for query in queries]


def code(module: str, source: str) -> dict[str, Any]:
    """What a module of that name would define."""
    defined: dict[str, Any] = {"__name__": module}
    exec(compile(source, f"{module.replace('.', '/')}.py", "exec"), defined)
    return defined


def test_a_write_names_the_contexts_on_its_way():
    """Ordering has the catalog write: the statement names both, the writer first, each with its line."""
    catalog = code("shop.catalog.models", "def save(cursor):\n    cursor().execute('DELETE FROM hat')\n")
    ordering = code("shop.ordering.services", "def sell(save, cursor):\n\n    save(cursor)\n")
    connection.cursor().execute("CREATE TEMPORARY TABLE hat () ON COMMIT DROP")
    (delete,) = statements(lambda: ordering["sell"](catalog["save"], connection.cursor))
    assert delete == "DELETE FROM hat /* strangler: catalog@models.py:2 ordering@services.py:3 */"


def test_a_read_names_nobody():
    catalog = code("shop.catalog.selectors", "def look(cursor):\n    cursor().execute('SELECT 1')\n")
    assert statements(lambda: catalog["look"](connection.cursor)) == ["SELECT 1"]


def test_code_outside_of_every_context_is_not_named():
    table = "CREATE TEMPORARY TABLE t ON COMMIT DROP AS SELECT 1"
    with transaction.atomic():
        (one,) = statements(lambda: connection.cursor().execute(table))
    assert "strangler:" not in one
