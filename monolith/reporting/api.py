"""Reports over HTTP, for admins."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..identity.models import Role
from .selectors import list_sales
from .serializers import DaysSerializer, SalesSerializer


class Sales(APIView):
    """What each seller has sold in some days."""

    permission_classes = [IsAuthenticated]

    @extend_schema(parameters=[DaysSerializer], responses=SalesSerializer(many=True))
    def get(self, request: Request) -> Response:
        if request.user.role != Role.ADMIN:
            raise PermissionDenied("Reports are for admins.")
        asked = DaysSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(SalesSerializer(list_sales(**asked.validated_data), many=True).data)
