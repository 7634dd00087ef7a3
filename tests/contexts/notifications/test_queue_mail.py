"""Mails as they are queued for events, and /api/notifications/mails/"""

import pytest

from monolith.notifications.models import Mail
from monolith.notifications.services import queue_mail
from tests.contexts.admin_forms import send
from tests.contexts.factories import a_product, a_seller, a_user, an_order, stock_of


@pytest.fixture
def rug(db):
    product = a_product(price="12.50", seller=a_seller(staff=(a_user("staff", "seller_staff"),)))
    stock_of(product, 9)
    return product


def subjects(of):
    return list(Mail.objects.filter(recipient__username=of).order_by("id").values_list("subject", flat=True))


def test_the_sellers_staff_are_told_what_was_sold(ask, rug, deliver):
    an_order(ask("buyer"), rug, 2)
    deliver()
    assert subjects("staff") == ["Sold: 2 x Garish Rug"]


def test_the_buyer_is_told_what_they_have_ordered(ask, rug, deliver):
    order = an_order(ask("buyer"), rug, 2)
    deliver()
    mail = Mail.objects.get(recipient__username="buyer")
    assert mail.subject == f"Your order {order.number}"
    assert mail.text == "2 x Garish Rug: 25.00 EUR\n\n25.00 EUR in all."


def test_the_buyer_is_told_what_becomes_of_an_order(ask, rug, provider, deliver):
    sent, cancelled = (an_order(ask("buyer"), rug) for _ in range(2))
    deliver()
    ask("support").post(f"/api/ordering/orders/{sent.pk}/ship/")
    ask("buyer").post(f"/api/ordering/orders/{cancelled.pk}/cancel/")
    deliver()
    assert subjects("buyer")[2:] == [
        f"Order {sent.number} is on its way",
        f"Your money for order {cancelled.number}",
        f"Order {cancelled.number} is cancelled",
    ]


def test_a_shipment_that_is_sent_behind_the_counter_is_written_about(ask, visit, rug, deliver):
    order = an_order(ask("buyer"), rug)
    deliver()
    boss = visit("anonymous")
    boss.force_login(a_user("boss", "admin", is_superuser=True, is_staff=True))
    page = f"/admin/fulfilment/shipment/{order.shipments.get().pk}/change/"
    send(boss, page, state="sent")
    send(boss, page)
    deliver()
    assert subjects("buyer")[1:] == [f"Order {order.number} is on its way"]


def test_on_account_no_money_comes_back(ask, rug, deliver):
    order = an_order(ask("buyer"), rug)
    ask("buyer").post(f"/api/ordering/orders/{order.pk}/cancel/")
    deliver()
    assert subjects("buyer")[1:] == [f"Order {order.number} is cancelled"]


def test_an_order_that_is_restated_is_written_about_to_nobody(ask, visit, rug, deliver):
    order = an_order(ask("buyer"), rug, 2)
    deliver()
    before = Mail.objects.count()
    boss = visit("anonymous")
    boss.force_login(a_user("boss", "admin", is_superuser=True, is_staff=True))
    send(boss, f"/admin/ordering/order/{order.pk}/change/", **{"lines-0-quantity": "3"})
    assert "ordering.order_restated" in [event.type for event in deliver()]
    assert Mail.objects.count() == before


def test_a_replayed_event_queues_nothing(ask, rug, deliver):
    """The inbox knows a redelivered one; of a replayed one the mail itself tells."""
    an_order(ask("buyer"), rug)
    deliver()
    mail = Mail.objects.first()
    once_more = {
        "recipient": mail.recipient_id, "order": mail.order_id, "number": mail.order_number,
        "subject": mail.subject, "text": mail.text, "event": str(mail.event),
    }  # fmt: skip
    before = Mail.objects.count()
    queue_mail(**once_more)
    assert deliver() == []
    assert Mail.objects.count() == before


def test_somebody_who_is_gone_is_written_nothing(rug, deliver):
    event = "00000000-0000-4000-8000-000000000007"
    queue_mail(recipient=4711, order=1, number="P-1", subject="Sold", text="Sold.", event=event)
    assert deliver() == []
    assert not Mail.objects.exists()


def test_mails_are_shown_to_whom_they_were_sent_and_to_support(ask, rug, deliver):
    order = an_order(ask("buyer"), rug)
    deliver()
    for role, count in [("staff", 1), ("buyer", 1), ("support", 2), ("other_staff", 0)]:
        assert ask(role).get("/api/notifications/mails/").json()["count"] == count
    (mail,) = ask("staff").get("/api/notifications/mails/").json()["results"]
    assert (mail["recipient"], mail["order"]) == ("staff", order.number)
