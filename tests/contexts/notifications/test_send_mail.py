"""A queued mail is sent once, whatever happens to who sends it."""

import smtplib

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, transaction

from monolith.notifications.models import Mail
from monolith.notifications.services import send_mail
from strangler.chassis.inbox import NotNow
from tests.contexts.factories import a_user

pytestmark = pytest.mark.django_db(transaction=True)


class Server(EmailBackend):
    """A mail server that can be down, refuse, or hang up after it has taken a mail."""

    trouble = ""

    def open(self):
        if self.trouble == "down":
            raise ConnectionRefusedError("nobody listens")

    def send_messages(self, messages):
        if self.trouble == "refuses":
            raise smtplib.SMTPRecipientsRefused({"buyer@marketplace.example": (550, b"unknown")})
        sent = super().send_messages(messages)
        if self.trouble == "hangs up":
            raise smtplib.SMTPServerDisconnected("the connection is gone")
        return sent


@pytest.fixture
def server(settings):
    settings.EMAIL_BACKEND = f"{__name__}.Server"
    yield Server
    Server.trouble = ""


@pytest.fixture
def mail():
    return Mail.objects.create(recipient=a_user("buyer"), order_id=1, subject="Sold", text="Sold.")


def parked():
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM strangler_inbox_parked WHERE subscription = 'notifications.post'")
        return [reason for (reason,) in cursor.fetchall()]


def announce(mail):
    from monolith.notifications.events import MailQueued
    from strangler.chassis import outbox

    with transaction.atomic():
        outbox.record(MailQueued(mail.pk))


def test_a_queued_mail_is_sent_once(mail, mailoutbox):
    for _ in range(2):
        send_mail(mail=mail.pk)
    (sent,) = mailoutbox
    assert (sent.to, sent.subject) == (["buyer@marketplace.example"], "Sold")
    assert sent.body == "Dear buyer,\n\nSold.\n"
    mail.refresh_from_db()
    assert mail.sent_at


def test_a_mail_that_was_sent_stays_sent_when_the_rest_is_rolled_back(mail, mailoutbox):
    """Killed after the server's word and before the commit: the event comes again, and the mail doesn't."""
    with transaction.atomic():
        send_mail(mail=mail.pk)
        transaction.set_rollback(True)
    send_mail(mail=mail.pk)
    assert len(mailoutbox) == 1


def test_a_mail_whose_try_ended_without_a_word_is_parked_and_not_sent_again(
    mail, server, deliver, mailoutbox
):
    server.trouble = "hangs up"
    announce(mail)
    deliver("notifications.post", parked=True)
    server.trouble = ""
    announce(mail)
    deliver("notifications.post", parked=True)
    assert len(mailoutbox) == 1
    assert "SMTPServerDisconnected" in parked()[0]
    with pytest.raises(Exception, match="may have been sent"):
        send_mail(mail=mail.pk)


def test_somebody_behind_the_counter_has_it_sent_once_more(mail, server, visit, deliver, mailoutbox):
    server.trouble = "hangs up"
    announce(mail)
    deliver("notifications.post", parked=True)
    server.trouble = ""
    with connection.cursor() as cursor:  # `strangler events skip`
        cursor.execute("DELETE FROM strangler_inbox_parked")
    chosen = {"action": "send_once_more", "_selected_action": [mail.pk]}
    visit("support").post("/admin/notifications/mail/", chosen)
    deliver("notifications.post")
    assert len(mailoutbox) == 1  # support may look
    boss = visit("anonymous")
    boss.force_login(a_user("boss", "admin", is_superuser=True, is_staff=True))
    boss.post("/admin/notifications/mail/", chosen)
    deliver("notifications.post")
    assert len(mailoutbox) == 2
    boss.post("/admin/notifications/mail/", chosen)
    assert deliver("notifications.post") == []  # it is known to be sent


def test_a_mail_that_the_server_refuses_is_parked_and_may_be_tried_again(mail, server, deliver, mailoutbox):
    server.trouble = "refuses"
    announce(mail)
    deliver("notifications.post", parked=True)
    assert "SMTPRecipientsRefused" in parked()[0]
    server.trouble = ""
    send_mail(mail=mail.pk)
    assert len(mailoutbox) == 1


def test_while_the_server_is_down_a_mail_waits(mail, server, deliver, mailoutbox):
    server.trouble = "down"
    announce(mail)
    with pytest.raises(NotNow, match="takes nothing"):
        deliver("notifications.post")
    mail.refresh_from_db()
    assert mail.tried_at is None
    assert parked() == []


def test_two_who_send_at_once_send_once(mail, mailoutbox):
    """The second one's row was read before the first one's try was written down."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert Mail.objects.get().tried_at is None
        from monolith.notifications.services import TRY, _at_once

        with _at_once() as execute:
            assert execute(TRY, [mail.pk]) == 1
        with pytest.raises(Exception, match="may have been sent"):
            send_mail(mail=mail.pk)
    assert mailoutbox == []


def test_a_mail_that_is_gone_is_sent_to_nobody(deliver, mailoutbox):
    send_mail(mail=4711)
    assert mailoutbox == []
