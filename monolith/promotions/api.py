"""Offers over HTTP, and what a voucher would take off the caller's cart."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import shared
from ..ordering.selectors import get_cart_total, list_cart_lines
from .models import Offer, Voucher
from .selectors import check_voucher, list_current_offers
from .serializers import OfferSerializer, VoucherSerializer


class OfferViewSet(viewsets.ReadOnlyModelViewSet[Offer]):
    """What is on offer now, of the products that the caller may see."""

    queryset = Offer.objects.none()
    serializer_class = OfferSerializer
    permission_classes = [AllowAny]

    def get_queryset(self):
        # entangled: whether an offer is shown is decided by the catalog's rows
        visible = shared.visible_products(self.request.user).values("pk")
        return list_current_offers().filter(product__in=visible)


class CheckVoucher(APIView):
    """Whether a voucher would be taken for the session's cart, and what it would take off."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=VoucherSerializer)
    def get(self, request: Request, code: str) -> Response:
        # entangled: promotions read ordering's cart out of the session
        total = get_cart_total(list_cart_lines(request.session))
        found = Voucher.objects.filter(code=code.upper()).first()
        voucher = check_voucher(found, buyer=request.user, total=total)
        voucher.discount = voucher.discount_on(total)
        return Response(VoucherSerializer(voucher).data)
