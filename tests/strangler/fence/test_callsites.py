"""The monolith's statements say which context they come from."""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.contexts.factories import a_product

pytestmark = pytest.mark.django_db


def statements(act) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"] for query in queries]


def test_a_write_names_the_contexts_on_its_way():
    """A sale counts up the catalog's product: the statement names who did it."""
    from monolith.inventory.models import StockItem, Warehouse

    product = a_product()
    place = Warehouse.objects.create(code="W1", name="Here")
    (update,) = [
        one
        for one in statements(lambda: StockItem.objects.create(product=product, warehouse=place, quantity=1))
        if 'UPDATE "catalog_product"' in one
    ]
    assert re.search(r"/\* strangler: catalog@models.py:\d+ inventory@signals.py:\d+ \*/", update)


def test_a_read_names_nobody():
    from monolith.catalog import selectors
    from strangler.chassis.identity import ANONYMOUS

    read = statements(lambda: list(selectors.list_products(ANONYMOUS)))
    assert read
    assert not any("strangler:" in one for one in read)


def test_code_outside_of_every_context_is_not_named():
    table = "CREATE TEMPORARY TABLE t ON COMMIT DROP AS SELECT 1"
    with transaction.atomic():
        (one,) = statements(lambda: connection.cursor().execute(table))
    assert "strangler:" not in one
