"""Stock over HTTP: for everybody whether a product is there, for staff where and how much."""

from __future__ import annotations

from django.db.models import F, QuerySet, Sum
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from .. import shared
from ..identity.models import Role
from .models import Reservation, StockItem
from .serializers import ReservationSerializer, StockItemSerializer


class StockViewSet(viewsets.ModelViewSet[StockItem]):
    """Stock of the caller's sellers; of everybody for support and admins."""

    serializer_class = StockItemSerializer
    permission_classes = [IsAuthenticated]

    def get_queryset(self) -> QuerySet[StockItem]:
        user = self.request.user
        if user.role == Role.BUYER:
            raise PermissionDenied("Stock is shown to sellers' staff, support and admins.")
        stock = StockItem.objects.select_related("product", "warehouse").order_by("id")
        if not shared.sees_everything(user):
            stock = stock.filter(product__seller__staff__user=user)
        if product := self.request.query_params.get("product", ""):
            stock = stock.filter(product_id=int(product)) if product.isdecimal() else stock.none()
        return stock

    @extend_schema(parameters=[OpenApiParameter("product", int)])
    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().list(request, *args, **kwargs)

    def perform_update(self, serializer: BaseSerializer[StockItem]) -> None:
        item = serializer.save()
        shared.write_down(self.request.user, item, "stock counted")


class ReservationViewSet(viewsets.ReadOnlyModelViewSet[Reservation]):
    """What is promised to whom; for support and admins."""

    queryset = Reservation.objects.select_related("order__buyer", "warehouse").order_by("id")
    serializer_class = ReservationSerializer
    permission_classes = [IsAuthenticated]

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        if not shared.sees_everything(request.user):
            raise PermissionDenied("Reservations are shown to support and admins.")


class Availability(APIView):
    """How many pieces of a product can still be ordered."""

    @extend_schema(
        parameters=[OpenApiParameter("pk", OpenApiTypes.INT, OpenApiParameter.PATH)],
        responses=inline_serializer(
            "Availability", {"product": serializers.IntegerField(), "available": serializers.IntegerField()}
        ),
    )
    def get(self, request: Request, pk: int) -> Response:
        product = get_object_or_404(shared.visible_products(request.user), pk=pk)
        free = product.stock.aggregate(free=Sum(F("quantity") - F("reserved")))["free"]
        return Response({"product": product.pk, "available": free or 0})
