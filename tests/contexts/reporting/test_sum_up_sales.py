"""What reporting does every night"""

import datetime

import pytest
from django.core.management import call_command
from django.utils import timezone

from monolith.ordering.models import Order
from monolith.ordering.services import restate_order
from monolith.reporting.models import DailySales
from monolith.reporting.tasks import sum_up_sales
from tests.contexts.factories import a_product, a_voucher, an_order, stock_of


@pytest.fixture
def yesterdays_order(ask, deliver):
    product = a_product(price="12.50")
    stock_of(product, 9)
    a_voucher(percent=20)
    order = an_order(ask("buyer"), product, 2, voucher="GARISH-20")
    Order.objects.update(placed_at=timezone.now() - datetime.timedelta(days=1))
    call_command("restate_events", everything=True)
    deliver()
    return order


def test_yesterday_is_summed_up_by_seller(yesterdays_order):
    assert sum_up_sales() == 1
    day = DailySales.objects.get()
    assert day.day == timezone.now().date() - datetime.timedelta(days=1)
    assert (day.orders, day.pieces, str(day.gross), str(day.discount)) == (1, 2, "25.00", "5.00")


def test_a_day_that_is_summed_up_again_is_written_again(yesterdays_order, deliver):
    sum_up_sales()
    yesterdays_order.lines.update(quantity=3)
    restate_order(order=yesterdays_order.pk)
    deliver()
    sum_up_sales()
    assert DailySales.objects.get().pieces == 3


def test_today_waits_for_its_night(ask, deliver):
    product = a_product()
    stock_of(product, 9)
    an_order(ask("buyer"), product)
    call_command("restate_events")
    deliver()
    assert sum_up_sales() == 0
