"""The catalog over HTTP: asks the selectors and the services, and knows nothing of tables."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from strangler.chassis.identity import Caller, caller_of

from . import selectors, services
from .errors import NotBought, NotYours, ReviewedAlready
from .models import Product
from .serializers import (
    CategoryDetailSerializer,
    CategorySerializer,
    ProductDetailSerializer,
    ProductForStaffSerializer,
    ProductSerializer,
    ProductWriteSerializer,
    ReviewSerializer,
    SellerDetailSerializer,
    SellerSerializer,
)


class Pages(PageNumberPagination):
    """24 a page; links are relative, and so the same in every home."""

    page_size = 24

    def get_next_link(self) -> str | None:
        return self._link(self.page.next_page_number()) if self.page.has_next() else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page.previous_page_number()) if self.page.has_previous() else None

    def _link(self, number: int) -> str:
        here = self.request.get_full_path()
        if number == 1:
            return remove_query_param(here, self.page_query_param)
        return replace_query_param(here, self.page_query_param, number)


class CatalogViewSet(viewsets.GenericViewSet[Any]):
    """What the views below share: the caller, pages, and what isn't there for this caller."""

    permission_classes = [IsAuthenticatedOrReadOnly]
    pagination_class = Pages

    @property
    def caller(self) -> Caller:
        return caller_of(self.request)

    def asked(self, name: str) -> str:
        """A word of the query string; "" where it isn't said."""
        value: str = self.request.query_params.get(name, "")
        if "\0" in value:  # PostgreSQL holds no such text, and would fail
            raise ValidationError({name: ["Null characters are not allowed."]})
        return value

    def asked_ids(self) -> list[int] | None:
        """The ids of the query string, such as 4,7; None where it names none."""
        if not (value := self.asked("ids")):
            return None
        words = value.split(",")
        if len(words) > Pages.page_size or not all(re.fullmatch("[0-9]{1,18}", word) for word in words):
            raise ValidationError(
                {"ids": [f"Up to {Pages.page_size} whole numbers with commas between them."]}
            )
        return [int(word) for word in words]

    def get_product(self, pk: int) -> Product:
        return selectors.get_product(self.caller, pk)

    def pages(self, rows: Any) -> Response:
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(rows), many=True).data)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ObjectDoesNotExist):
            exc = NotFound()
        elif isinstance(exc, (NotYours, NotBought)):
            exc = PermissionDenied(str(exc))
        elif isinstance(exc, ReviewedAlready):
            exc = ValidationError(str(exc))
        return super().handle_exception(exc)


class ProductViewSet(CatalogViewSet):
    """Products. Drafts and retired ones exist for their seller's staff, support and admins alone."""

    queryset = Product.objects.none()
    serializer_class = ProductSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("category", str, description="A category's slug; its children count too."),
            OpenApiParameter("seller", str, description="A seller's slug."),
            OpenApiParameter("q", str, description="Text in the name or the description, or a whole SKU."),
            OpenApiParameter("ids", str, description="Ids with commas between them, up to 24."),
            OpenApiParameter("ordering", str, enum=[name for name in selectors.ORDERINGS if name]),
        ]
    )
    def list(self, request: Request) -> Response:
        ordering = self.asked("ordering")
        if ordering not in selectors.ORDERINGS:
            known = ", ".join(name for name in selectors.ORDERINGS if name)
            raise ValidationError({"ordering": [f"Products are ordered by {known}."]})
        return self.pages(
            selectors.list_products(
                self.caller,
                category=self.asked("category"),
                seller=self.asked("seller"),
                text=self.asked("q"),
                ordering=ordering,
                ids=self.asked_ids(),
            )
        )

    @extend_schema(responses=ProductForStaffSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        product = self.get_product(pk)
        if selectors.may_edit(self.caller, product.seller_id):
            return Response(ProductForStaffSerializer(product).data)
        return Response(ProductDetailSerializer(product).data)

    @extend_schema(request=ProductWriteSerializer, responses={201: ProductForStaffSerializer})
    def create(self, request: Request) -> Response:
        wanted = ProductWriteSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        product = services.enter_product(caller=self.caller, **wanted.validated_data)
        return Response(ProductForStaffSerializer(product).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ProductWriteSerializer, responses=ProductForStaffSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        product = self.get_product(pk)
        wanted = ProductWriteSerializer(product, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        product = services.change_product(caller=self.caller, product=product, **wanted.validated_data)
        return Response(ProductForStaffSerializer(product).data)

    def destroy(self, request: Request, pk: int) -> Response:
        services.delete_product(caller=self.caller, product=self.get_product(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReviewViewSet(CatalogViewSet):
    """Reviews of one product; somebody who has bought it may write one."""

    serializer_class = ReviewSerializer

    def list(self, request: Request, pk: int) -> Response:
        return self.pages(selectors.list_reviews(self.get_product(pk)))

    def create(self, request: Request, pk: int) -> Response:
        product = self.get_product(pk)
        wanted = self.get_serializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        review = services.write_review(caller=self.caller, product=product, **wanted.validated_data)
        return Response(self.get_serializer(review).data, status=status.HTTP_201_CREATED)


class WatchViewSet(CatalogViewSet):
    """The caller's wishlist."""

    serializer_class = ProductSerializer
    permission_classes = [IsAuthenticated]

    def list(self, request: Request) -> Response:
        return self.pages(selectors.list_watched(self.caller))

    @extend_schema(request=None, responses={204: None})
    def watch(self, request: Request, pk: int) -> Response:
        services.watch_product(caller=self.caller, product=self.get_product(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None})
    def unwatch(self, request: Request, pk: int) -> Response:
        services.unwatch_product(caller=self.caller, product=self.get_product(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class CategoryViewSet(CatalogViewSet):
    """The tree of shelves."""

    serializer_class = CategorySerializer
    pagination_class = None

    def list(self, request: Request) -> Response:
        return Response(self.get_serializer(selectors.list_categories(), many=True).data)

    @extend_schema(responses=CategoryDetailSerializer)
    def retrieve(self, request: Request, slug: str) -> Response:
        return Response(CategoryDetailSerializer(selectors.get_category(slug)).data)


class SellerViewSet(CatalogViewSet):
    """The shops."""

    serializer_class = SellerSerializer

    @extend_schema(parameters=[OpenApiParameter("slug", str, description="A seller's slug.")])
    def list(self, request: Request) -> Response:
        return self.pages(selectors.list_sellers(slug=self.asked("slug")))

    @extend_schema(responses=SellerDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(SellerDetailSerializer(selectors.get_seller(pk)).data)
