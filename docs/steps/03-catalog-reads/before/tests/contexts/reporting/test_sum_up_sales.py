"""What reporting does every night"""

import datetime

from django.utils import timezone

from monolith.ordering.models import Order
from monolith.reporting.models import DailySales
from monolith.reporting.tasks import sum_up_sales
from tests.contexts.factories import a_product, a_voucher, an_order, stock_of


def yesterdays_order(ask):
    product = a_product(price="12.50")
    stock_of(product, 9)
    a_voucher(percent=20)
    order = an_order(ask("buyer"), product, 2, voucher="GARISH-20")
    Order.objects.update(placed_at=timezone.now() - datetime.timedelta(days=1))
    return order


def test_yesterday_is_summed_up_by_seller(ask):
    yesterdays_order(ask)
    assert sum_up_sales() == 1
    day = DailySales.objects.get()
    assert day.day == timezone.now().date() - datetime.timedelta(days=1)
    assert (day.orders, day.pieces, str(day.gross), str(day.discount)) == (1, 2, "25.00", "5.00")


def test_a_day_that_is_summed_up_again_is_written_again(ask):
    order = yesterdays_order(ask)
    sum_up_sales()
    order.lines.update(quantity=3)
    sum_up_sales()
    assert DailySales.objects.get().pieces == 3


def test_today_waits_for_its_night(ask):
    product = a_product()
    stock_of(product, 9)
    an_order(ask("buyer"), product)
    assert sum_up_sales() == 0
