"""Writes of notifications: mails are queued with the event that they are about, and sent once.

Between the mail server's word and ours that a mail has left, a process can be killed. Sent again, it would
come twice; not sent again, it might not come at all. So a try is written down first, on a connection of its
own: a second one finds it, sends nothing, and says so to whoever looks after parked events.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.mail import EmailMessage, get_connection
from django.db import connections, transaction

from strangler.chassis import outbox
from strangler.chassis.inbox import NotNow

from . import events
from .anticorruption import neighbours
from .errors import PerhapsSent
from .models import Mail

TRY = "UPDATE notifications_mail SET tried_at = now() WHERE id = %s AND tried_at IS NULL"
NOT_TRIED = "UPDATE notifications_mail SET tried_at = NULL WHERE id = %s"
SENT = "UPDATE notifications_mail SET sent_at = now() WHERE id = %s"


@transaction.atomic
def queue_mail(*, recipient: int, order: int, number: str, subject: str, text: str, event: str) -> None:
    """Queue a mail to a user about an order; once for an event, whoever replays it."""
    if neighbours.person(recipient) is None:  # Gone since; there is nobody to write to.
        return
    mail, is_new = Mail.objects.get_or_create(
        event=event,
        recipient_id=recipient,
        subject=subject,
        defaults={"order_id": order, "order_number": number, "text": text},
    )
    if is_new:
        outbox.record(events.MailQueued(mail.pk))


def send_mail(*, mail: int) -> None:
    """Send a queued mail (its key), unless it was sent.

    Raises NotNow while the mail server takes nothing, PerhapsSent if an earlier try ended without a word, and
    the server's own refusal, after which the mail counts as not tried.
    """
    row = Mail.objects.filter(pk=mail).first()
    person = row and neighbours.person(row.recipient_id)
    if row is None or person is None or row.sent_at:  # Deleted, or sent, since it was queued.
        return
    if row.tried_at:
        raise PerhapsSent(mail, f"{row.tried_at:%Y-%m-%d %H:%M:%S}")
    server = get_connection()
    try:
        server.open()
    except OSError as error:  # smtplib's errors are among them
        raise NotNow(f"The mail server takes nothing: {error}") from error
    text = f"Dear {person.name},\n\n{row.text}\n"
    message = EmailMessage(row.subject, text, to=[person.address], connection=server)
    with _at_once() as execute:
        if not execute(TRY, [mail]):
            raise PerhapsSent(mail, "this very moment")
        try:
            message.send()
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
            execute(NOT_TRIED, [mail])
            raise
        finally:
            server.close()
        execute(SENT, [mail])


@transaction.atomic
def send_again(*, mails: Iterable[Mail]) -> int:
    """Have unsent mails tried once more, whatever came of the first try; returns how many they are."""
    waiting = Mail.objects.select_for_update().filter(pk__in=[mail.pk for mail in mails], sent_at=None)
    keys = sorted(waiting.values_list("pk", flat=True))
    Mail.objects.filter(pk__in=keys).update(tried_at=None)
    outbox.record(*(events.MailQueued(key) for key in keys))
    return len(keys)


@contextmanager
def _at_once() -> Iterator[Any]:
    """A way to change rows beside the transaction that we are in: what it has done stays done."""
    connection = connections.create_connection("default")
    try:
        with connection.cursor() as cursor:

            def execute(statement: str, values: list[Any]) -> int:
                cursor.execute(statement, values)
                return int(cursor.rowcount)

            yield execute
    finally:
        connection.close()
