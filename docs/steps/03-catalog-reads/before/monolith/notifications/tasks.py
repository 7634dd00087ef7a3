"""What notifications do after the answer: the mail itself."""

from __future__ import annotations

from celery import shared_task
from django.core.mail import send_mail
from django.utils import timezone

from .models import Mail


@shared_task(name="notifications.send_queued_mail")
def send_queued_mail(key: int) -> None:
    """Send the mail queued under `key`. Raises Mail.DoesNotExist if it isn't there, or isn't there yet."""
    mail = Mail.objects.select_related("recipient").get(pk=key)
    if mail.sent_at is None:
        greeting = f"Dear {mail.recipient.display_name},\n\n"
        send_mail(mail.subject, f"{greeting}{mail.text}\n", None, [mail.recipient.email])
        mail.sent_at = timezone.now()
        mail.save()
