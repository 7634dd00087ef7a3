"""Shipments over HTTP."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from .. import shared
from . import selectors, services
from .models import Shipment
from .serializers import ShipmentSerializer


class ShipmentViewSet(viewsets.ReadOnlyModelViewSet[Shipment]):
    """Shipments of the caller's orders; all of them for support and admins."""

    queryset = Shipment.objects.none()
    serializer_class = ShipmentSerializer
    permission_classes = [IsAuthenticated]

    def get_queryset(self) -> QuerySet[Shipment]:
        return selectors.list_shipments(self.request.user)

    @extend_schema(request=None)
    def delivered(self, request: Request, pk: int) -> Response:
        shipment = self.get_object()
        if not shared.sees_everything(request.user):
            raise PermissionDenied("Support and admins say what has arrived.")
        services.confirm_delivery(shipment=shipment, by=request.user)
        return Response(self.get_serializer(self.get_object()).data)
