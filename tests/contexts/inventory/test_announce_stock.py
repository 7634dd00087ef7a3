"""Stock that changes in two warehouses at a time: whoever counts second counts both"""

import threading

import pytest
from django.db import connection, transaction

from monolith.inventory.models import StockItem
from strangler.chassis import outbox
from tests.contexts.factories import a_product, stock_of

pytestmark = pytest.mark.django_db(transaction=True)


def count(item, *, then=lambda: None):
    try:
        with transaction.atomic():
            item.quantity = 0
            item.save()
            then()
    finally:
        connection.close()


def test_two_who_empty_two_warehouses_at_once_announce_that_nothing_is_left(deliver):
    rug = a_product()
    ham, lyo = stock_of(rug, 5, "HAM"), stock_of(rug, 4, "LYO")
    deliver()
    has_counted, may_commit = threading.Event(), threading.Event()

    def wait():
        has_counted.set()
        assert may_commit.wait(10)

    first = threading.Thread(target=count, args=[ham], kwargs={"then": wait})
    second = threading.Thread(target=count, args=[lyo])
    first.start()
    assert has_counted.wait(10)
    second.start()
    second.join(0.3)
    assert second.is_alive()  # it waits for the first one's count
    may_commit.set()
    first.join(10)
    second.join(10)
    assert [event.data["available"] for event in deliver()] == [4, 0]
    rug.refresh_from_db()
    assert not rug.in_stock
    assert not StockItem.objects.exclude(quantity=0).exists()


def test_a_key_is_held_in_a_transaction_alone():
    with pytest.raises(outbox.OutsideTransaction):
        outbox.hold("stock-7")
