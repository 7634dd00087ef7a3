"""Mails over HTTP: what the marketplace has written to the caller."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.permissions import IsAuthenticated

from .. import shared
from .models import Mail
from .serializers import MailSerializer


class MailViewSet(viewsets.ReadOnlyModelViewSet[Mail]):
    """The caller's mails; everybody's for support and admins; newest first."""

    queryset = Mail.objects.none()
    serializer_class = MailSerializer
    permission_classes = [IsAuthenticated]

    def get_queryset(self) -> QuerySet[Mail]:
        mails = Mail.objects.select_related("recipient", "order").order_by("-id")
        return (
            mails if shared.sees_everything(self.request.user) else mails.filter(recipient=self.request.user)
        )
