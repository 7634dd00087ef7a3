"""What ordering announces, whichever way an order is changed."""

import datetime

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from monolith.inventory.models import Reservation
from monolith.inventory.tasks import release_expired_reservations
from monolith.ordering.models import Order
from monolith.ordering.services import place_order
from tests.contexts.admin_forms import send
from tests.contexts.factories import (
    ADDRESS,
    a_product,
    a_user,
    a_voucher,
    an_order,
    stock_of,
)


@pytest.fixture
def rug(db):
    rug = a_product(price="12.50")
    stock_of(rug, 9)
    return rug


@pytest.fixture
def announced(deliver):
    """What ordering announced since the last look: [(type, data)]."""
    return lambda: [
        (event.type, event.data) for event in deliver() if event.type.startswith("ordering.order")
    ]


def test_an_order_is_announced_whole(ask, rug, announced):
    a_voucher(percent=20)
    order = an_order(ask("buyer"), rug, 2, voucher="GARISH-20")
    ((type, data),) = announced()
    assert type == "ordering.order_placed"
    assert datetime.datetime.fromisoformat(data.pop("placed_at")).date() == order.placed_at.date()
    assert data == {
        "order": order.pk, "number": order.number, "buyer": order.buyer_id, "status": "placed",
        "total": "20.00", "discount": "5.00", "currency": "EUR",
        "lines": [
            {
                "line": order.lines.get().pk, "product": rug.pk, "name": "Garish Rug",
                "seller": rug.seller_id, "quantity": 2, "unit_price": "12.50",
            }
        ],
    }  # fmt: skip


def test_an_order_that_is_given_up_is_announced_by_nobody(rug, announced, mailoutbox):
    with transaction.atomic():
        place_order(buyer=a_user("buyer"), session={"cart": {str(rug.pk): 1}}, address=ADDRESS)
        transaction.set_rollback(True)
    assert announced() == []


def cancelled_by_its_buyer(ask, boss, order):
    ask("buyer").post(f"/api/ordering/orders/{order.pk}/cancel/")


def cancelled_by_the_clock(ask, boss, order):
    Reservation.objects.update(expires_at=timezone.now() - datetime.timedelta(minutes=1))
    assert release_expired_reservations() == 1


def cancelled_behind_the_counter(ask, boss, order):
    send(boss, f"/admin/ordering/order/{order.pk}/change/", status="cancelled")


@pytest.mark.parametrize(
    "way", [cancelled_by_its_buyer, cancelled_by_the_clock, cancelled_behind_the_counter]
)
def test_a_cancelled_order_is_announced_whichever_way_it_is_cancelled(ask, boss, rug, announced, way):
    order = an_order(ask("buyer"), rug)
    announced()
    way(ask, boss, order)
    told = {"order": order.pk, "number": order.number, "buyer": order.buyer_id}
    assert announced()[0] == ("ordering.order_cancelled", told)


def test_an_order_that_was_shipped_meanwhile_is_left_alone_by_the_clock(ask, rug, announced):
    order = an_order(ask("buyer"), rug)
    Order.objects.filter(pk=order.pk).update(status="shipped")
    Reservation.objects.update(expires_at=timezone.now() - datetime.timedelta(minutes=1))
    announced()
    assert release_expired_reservations() == 0
    assert announced() == []


def test_an_order_whose_lines_are_corrected_is_restated_once_with_all_of_them(ask, boss, rug, announced):
    order = an_order(ask("buyer"), rug, 2)
    announced()
    send(boss, f"/admin/ordering/order/{order.pk}/change/", **{"lines-0-quantity": "3"})
    ((type, data),) = announced()
    assert (type, [line["quantity"] for line in data["lines"]]) == ("ordering.order_restated", [3])


def test_a_line_that_is_corrected_on_its_own_page_restates_its_order(ask, boss, rug, announced):
    order = an_order(ask("buyer"), rug, 2)
    line = order.lines.get()
    announced()
    send(boss, f"/admin/ordering/orderline/{line.pk}/change/", unit_price="10")
    boss.post(f"/admin/ordering/orderline/{line.pk}/delete/", {"post": "yes"})
    (_, changed), (_, bare) = announced()
    assert [line["unit_price"] for line in changed["lines"]] == ["10.00"]
    assert bare["lines"] == []


def test_an_order_that_is_struck_out_is_announced(ask, boss, rug, announced):
    orders = [an_order(ask("buyer"), rug) for _ in range(2)]
    announced()
    boss.post(f"/admin/ordering/order/{orders[0].pk}/delete/", {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [orders[1].pk], "post": "yes"}
    boss.post("/admin/ordering/order/", chosen)
    assert [(type, data["order"]) for type, data in announced()] == [
        ("ordering.order_deleted", order.pk) for order in orders
    ]


def test_restating_many_orders_costs_no_more_queries(ask, rug, django_assert_max_num_queries):
    for _ in range(3):
        an_order(ask("buyer"), rug)
    # twice a savepoint and its end, rows, lines, what was said, keys, events; and a look for more
    with django_assert_max_num_queries(12):
        call_command("restate_events", "ordering.order", everything=True)
