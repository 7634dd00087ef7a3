"""Cart and orders over HTTP."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from strangler.chassis.identity import caller_of

from .. import shared
from . import selectors, services
from .anticorruption import catalog
from .models import Note, Order, OrderLine
from .serializers import (
    CartLineSerializer,
    CartSerializer,
    NoteSerializer,
    OrderSerializer,
    PurchaseSerializer,
)


def _cart(request: Request) -> Response:
    lines = selectors.list_cart_lines(request.session)
    return Response(CartSerializer({"lines": lines, "total": selectors.get_cart_total(lines)}).data)


class Cart(APIView):
    """The session's cart; nobody needs to have signed in."""

    permission_classes = [AllowAny]

    @extend_schema(responses=CartSerializer)
    def get(self, request: Request) -> Response:
        return _cart(request)


class CartItem(APIView):
    """One product of the session's cart."""

    permission_classes = [AllowAny]

    @extend_schema(request=CartLineSerializer, responses=CartSerializer)
    def put(self, request: Request, product: int) -> Response:
        asked = CartLineSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        article = catalog().get_article(request.user, product)
        if article is None:
            raise Http404
        services.put_in_cart(
            session=request.session, article=article, quantity=asked.validated_data["quantity"]
        )
        return _cart(request)


class OrderViewSet(viewsets.ReadOnlyModelViewSet[Order]):
    """The caller's orders; everybody's for support and admins."""

    serializer_class = OrderSerializer
    permission_classes = [IsAuthenticated]

    def get_queryset(self) -> QuerySet[Order]:
        return selectors.list_orders(self.request.user)

    def create(self, request: Request) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        order = services.place_order(
            buyer=request.user,
            session=request.session,
            address=asked.validated_data["address"],
            voucher=asked.validated_data.get("voucher", ""),
        )
        return Response(self.get_serializer(order).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None)
    def cancel(self, request: Request, pk: int) -> Response:
        order = services.cancel_order(order=self.get_object(), by=request.user)
        return Response(self.get_serializer(order).data)

    @extend_schema(request=None)
    def ship(self, request: Request, pk: int) -> Response:
        order = self.get_object()
        if not shared.sees_everything(request.user):
            raise PermissionDenied("Support and admins ship orders.")
        return Response(self.get_serializer(services.ship_order(order=order, by=request.user)).data)


class Purchase(APIView):
    """Whether the caller has bought an article: for homes that ask in their callers' name."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=PurchaseSerializer)
    def get(self, request: Request, article: int) -> Response:
        bought = OrderLine.has_bought(int(caller_of(request).subject), article)
        return Response(PurchaseSerializer({"article": article, "bought": bought}).data)


class OrderNoteViewSet(viewsets.ModelViewSet[Note]):
    """What support wrote down about an order."""

    serializer_class = NoteSerializer
    permission_classes = [IsAuthenticated]

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        if not shared.sees_everything(request.user):
            raise PermissionDenied("Notes are for support and admins.")

    def get_queryset(self) -> QuerySet[Note]:
        order = get_object_or_404(Order, pk=self.kwargs["pk"])
        return order.notes.select_related("author").order_by("id")

    def perform_create(self, serializer: BaseSerializer[Note]) -> None:
        order = get_object_or_404(Order, pk=self.kwargs["pk"])
        serializer.instance = services.write_note(
            author=self.request.user, subject=order, text=serializer.validated_data["text"]
        )
