"""The monolith's statements say which context they come from."""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.contexts.factories import a_product, a_user, a_voucher, an_order, stock_of

pytestmark = pytest.mark.django_db


def statements(act) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        act()
    return [query["sql"] for query in queries]


def test_a_write_names_the_contexts_on_its_way():
    """An order redeems a voucher of promotions: the statement names both."""
    product, buyer, _ = a_product(), APIClient(), a_voucher()
    stock_of(product, 5)
    buyer.force_login(a_user())
    redeemed = [
        one
        for one in statements(lambda: an_order(buyer, product, voucher="GARISH-20"))
        if 'INSERT INTO "promotions_redemption"' in one
    ]
    assert redeemed
    assert re.search(r"/\* strangler: promotions@services\.py:\d+ ordering@\w+\.py:\d+ \*/", redeemed[0]), (
        redeemed
    )


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
