"""Why the sales aren't kept up to date by a task: the mechanism in small, and how it fails.

It is what the monolith does with its mails. A task is dispatched beside the change that it is about, and
looks that change up by its key.
"""

import pytest
from celery import shared_task
from django.db import transaction
from django.db.models import Sum

from monolith.ordering.models import Order, OrderLine
from tests.contexts.factories import ADDRESS, a_product, a_user
from tests.contexts.workers import quick_worker

sold = {}  # a report, as such a task would keep it: pieces by order


@shared_task(name="tests.count_what_was_sold")
def count_what_was_sold(order):
    sold[order] = OrderLine.objects.filter(order=order).aggregate(pieces=Sum("quantity"))["pieces"]


class GivenUp(Exception):
    """Something else in the transaction failed."""


def an_order_that_tells_reporting(given_up=False):
    with transaction.atomic():
        order = Order.objects.create(number="P-4711", buyer=a_user(), address=ADDRESS)
        OrderLine.objects.create(order=order, product=a_product(), quantity=2, unit_price="12.50")
        count_what_was_sold.delay(order.pk)
        if given_up:
            raise GivenUp
    return order


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_quick_counts_nothing():
    with quick_worker(count_what_was_sold) as came:
        order = an_order_that_tells_reporting()
    assert came == [None]
    assert sold[order.pk] is None  # and two pieces were sold


@pytest.mark.django_db(transaction=True)
def test_an_order_that_was_given_up_is_reported_all_the_same():
    with quick_worker(count_what_was_sold) as came, pytest.raises(GivenUp):
        an_order_that_tells_reporting(given_up=True)
    assert not Order.objects.exists()
    assert came == [None]  # the task is on its way, and nothing takes it back
