"""What other contexts announce is counted, and users who are gone are let go of: in either home"""

from __future__ import annotations

from dataclasses import make_dataclass
from typing import Any

import pytest
from django.db import connection

from strangler.chassis import envelope
from strangler.chassis.inbox import subscriptions
from strangler.chassis.inbox.receiving import Delivery, receive

from .rows import a_person, a_product, a_review, model


@pytest.fixture
def hear(db: None) -> Any:
    """Lets the catalog hear an event of that type, key and data; returns it, to be heard again."""

    def hear(type: str, key: str, **data: Any) -> Delivery:
        event = make_dataclass("Event", data, frozen=True, namespace={"type": type, "key": key})(**data)
        _, message = envelope.write(event)
        message = envelope.Message(message.headers | {"ce-sequence": "1"}, message.content_type, message.body)
        return again(Delivery.of(message))

    return hear


def again(delivery: Delivery) -> Delivery:
    """What its handlers couldn't do would be parked, and nobody else would say so."""
    assert delivery.event
    heard = [one for one in subscriptions.declared() if one.name.startswith("catalog.")]
    hearers = [one for one in heard if delivery.event.type in one.types]
    assert hearers
    for one in hearers:
        receive(one, [delivery])
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM strangler_inbox_parked")
        assert cursor.fetchall() == []
    return delivery


def now(product: Any) -> Any:
    product.refresh_from_db()
    return product


def test_a_product_is_in_stock_while_pieces_of_it_are_free(hear):
    rug, hat = a_product(), a_product("HAT")
    hear("inventory.stock_changed.v1", f"stock-{rug.pk}", product=rug.pk, available=3)
    assert (now(rug).in_stock, now(hat).in_stock) == (True, False)
    hear("inventory.stock_changed.v1", f"stock-{rug.pk}", product=rug.pk, available=0)
    assert not now(rug).in_stock


def test_sales_are_counted_once_however_often_they_are_heard_of(hear):
    rug, hat = a_product(), a_product("HAT")
    lines = [{"product": rug.pk, "quantity": 2}, {"product": hat.pk, "quantity": 1}]
    placed = hear("ordering.order_placed.v1", "order-7", lines=lines)
    again(placed)
    assert (now(rug).units_sold, now(hat).units_sold) == (2, 1)


def test_a_counter_leaves_a_price_alone_that_is_changed_meanwhile(hear):
    rug = a_product(price="12.50")
    seen = model("Product").objects.get(pk=rug.pk)
    model("Product").objects.filter(pk=rug.pk).update(price="9.90")
    hear("inventory.stock_changed.v1", f"stock-{rug.pk}", product=rug.pk, available=3)
    a_review(seen)  # what is written of a product that was read before
    assert (str(now(rug).price), rug.in_stock, rug.rating_count) == ("9.90", True, 1)


def test_what_is_told_of_a_product_that_is_gone_is_passed_over(hear):
    hear("inventory.stock_changed.v1", "stock-4711", product=4711, available=3)
    hear("ordering.order_placed.v1", "order-7", lines=[{"product": 4711, "quantity": 2}])


def test_a_user_who_is_gone_leaves_no_review_no_wish_and_no_name(hear):
    ada, bruno = a_person("ada"), a_person("bruno")
    rug = a_product(created_by_id=ada)
    a_review(rug, "ada", rating=1)
    a_review(rug, "bruno", rating=4)
    for user in (ada, bruno):
        model("Watch").objects.create(product=rug, user_id=user)
    again(hear("identity.user_deleted.v1", f"user-{ada}", user=ada))
    assert (now(rug).created_by_id, str(rug.rating_average), rug.rating_count) == (None, "4.00", 1)
    assert [watch.user_id for watch in rug.watches.all()] == [bruno]
