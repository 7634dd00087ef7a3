"""Mails as they are queued by receivers and sent by the worker, and /api/notifications/mails/"""

import threading

import pytest
from celery.signals import before_task_publish
from django.db import connection

from monolith.notifications.models import Mail
from monolith.notifications.tasks import send_queued_mail
from tests.contexts.factories import a_product, a_seller, a_user, an_order, stock_of


@pytest.fixture
def rug(db):
    product = a_product(seller=a_seller(staff=(a_user("staff", "seller_staff"),)))
    stock_of(product, 9)
    return product


def subjects(of):
    return list(Mail.objects.filter(recipient__username=of).order_by("id").values_list("subject", flat=True))


def test_the_sellers_staff_are_told_what_was_sold(ask, rug):
    an_order(ask("buyer"), rug, 2)
    assert subjects("staff") == ["Sold: 2 x Garish Rug"]


def test_the_buyer_is_told_what_becomes_of_an_order(ask, rug, provider):
    sent, cancelled = (an_order(ask("buyer"), rug) for _ in range(2))
    ask("support").post(f"/api/ordering/orders/{sent.pk}/ship/")
    ask("buyer").post(f"/api/ordering/orders/{cancelled.pk}/cancel/")
    assert subjects("buyer") == [
        f"Order {sent.number} is on its way",
        f"Your money for order {cancelled.number}",
        f"Order {cancelled.number} is cancelled",
    ]


def test_a_queued_mail_is_sent_once(ask, rug, mailoutbox):
    an_order(ask("buyer"), rug)
    mail = Mail.objects.get()
    for _ in range(2):
        send_queued_mail(mail.pk)
    (sent,) = mailoutbox
    assert (sent.to, sent.subject) == (["staff@marketplace.example"], "Sold: 1 x Garish Rug")
    mail.refresh_from_db()
    assert mail.sent_at


def test_mails_are_shown_to_whom_they_were_sent_and_to_support(ask, rug):
    an_order(ask("buyer"), rug)
    for role, count in [("staff", 1), ("buyer", 0), ("support", 1)]:
        assert ask(role).get("/api/notifications/mails/").json()["count"] == count


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_quick_finds_no_mail(ask, rug):
    """The knot, shown: the task is dispatched before the commit, when nobody else sees the mail."""
    found = []

    def look(key):
        found.append(Mail.objects.filter(pk=key).exists())
        connection.close()

    def work(sender, body, **kwargs):
        worker = threading.Thread(target=look, args=body[0])
        worker.start()
        worker.join()

    before_task_publish.connect(work, sender=send_queued_mail.name)
    try:
        an_order(ask("buyer"), rug)
    finally:
        before_task_publish.disconnect(work, sender=send_queued_mail.name)
    assert found == [False]
    assert Mail.objects.exists()


def test_a_mail_that_was_rolled_back_is_not_found(db):
    with pytest.raises(Mail.DoesNotExist):
        send_queued_mail(4711)
