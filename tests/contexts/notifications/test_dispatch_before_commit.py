"""How mails were sent once, in small, and how they got lost: by a task that is dispatched before the commit.

Whoever is quick finds no mail under the key that they are given, and what was rolled back is sent for all the
same. Beside it, the same two orders as they are announced today.
"""

import pytest
from celery import shared_task
from django.db import transaction

from monolith.notifications.models import Mail
from monolith.ordering.models import Order
from monolith.ordering.services import place_order
from tests.contexts.factories import ADDRESS, a_product, a_seller, a_user, stock_of
from tests.contexts.workers import quick_worker

pytestmark = pytest.mark.django_db(transaction=True)


@shared_task(name="tests.send_queued_mail")
def send_queued_mail(key):
    return Mail.objects.get(pk=key).subject


def queue_as_it_was(order):
    mail = Mail.objects.create(recipient=order.buyer, order_id=order.pk, subject="Sold", text="Sold.")
    send_queued_mail.delay(mail.pk)


@pytest.fixture
def rug():
    product = a_product(seller=a_seller(staff=(a_user("staff", "seller_staff"),)))
    stock_of(product, 9)
    return product


def buy(rug):
    return place_order(buyer=a_user("buyer"), session={"cart": {str(rug.pk): 1}}, address=ADDRESS)


def test_a_task_that_is_dispatched_before_the_commit_finds_no_mail(rug):
    with quick_worker(send_queued_mail) as came, transaction.atomic():
        queue_as_it_was(buy(rug))
    assert [type(one) for one in came] == [Mail.DoesNotExist]
    assert Mail.objects.get().sent_at is None  # and nobody ever sends it


def test_a_task_that_is_dispatched_before_a_rollback_is_on_its_way(rug):
    with quick_worker(send_queued_mail) as came, transaction.atomic():
        queue_as_it_was(buy(rug))
        transaction.set_rollback(True)
    assert not Mail.objects.exists()
    assert len(came) == 1  # and nothing takes it back


def test_a_mail_that_an_event_asks_for_is_found_and_sent(rug, deliver, mailoutbox):
    order = buy(rug)
    deliver("notifications.mails", "notifications.post")
    assert [(one.to, one.subject) for one in mailoutbox] == [
        (["buyer@marketplace.example"], f"Your order {order.number}"),
        (["staff@marketplace.example"], "Sold: 1 x Garish Rug"),
    ]


def test_of_an_order_that_was_rolled_back_nobody_hears(rug, deliver, mailoutbox):
    with transaction.atomic():
        buy(rug)
        transaction.set_rollback(True)
    assert deliver("notifications.mails", "notifications.post") == []
    assert not Order.objects.exists()
    assert mailoutbox == []
