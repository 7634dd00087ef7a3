"""Payments over HTTP, and the address that the provider's webhooks come in at."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import shared
from . import selectors, services
from .anticorruption import SIGNATURE, is_signed
from .errors import BadWebhook
from .models import Payment
from .serializers import PaymentSerializer, WebhookSerializer


class PaymentViewSet(viewsets.ReadOnlyModelViewSet[Payment]):
    """The caller's payments; everybody's for support and admins."""

    queryset = Payment.objects.none()
    serializer_class = PaymentSerializer
    permission_classes = [IsAuthenticated]

    def get_queryset(self) -> QuerySet[Payment]:
        return selectors.list_payments(self.request.user)

    @extend_schema(request=None)
    def refund(self, request: Request, pk: int) -> Response:
        payment = self.get_object()
        if not shared.sees_everything(request.user):
            raise PermissionDenied("Support and admins give money back.")
        return Response(self.get_serializer(services.refund_payment(payment=payment, by=request.user)).data)


class Webhook(APIView):
    """What the provider tells; its signature is all that it shows."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(request=WebhookSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        if not is_signed(request.body, request.headers.get(SIGNATURE, "")):
            raise BadWebhook
        told = WebhookSerializer(data=request.data)
        told.is_valid(raise_exception=True)
        event = told.validated_data
        services.hear_provider(event=event["id"], kind=event["type"], reference=event["payment"])
        return Response(status=status.HTTP_204_NO_CONTENT)
