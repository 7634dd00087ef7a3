"""The catalog over HTTP: what is for sale, and what sellers and buyers do about it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.urls import remove_query_param, replace_query_param

from .. import shared
from ..ordering.models import OrderLine
from .models import Category, Product, Review, Seller
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

ORDERINGS = {"price": ["price", "id"], "-price": ["-price", "id"], "name": ["name", "id"]}


class Pages(PageNumberPagination):
    """24 a page; links are relative, and so the same under every name that the shop is asked by."""

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


class ProductViewSet(viewsets.ModelViewSet[Product]):
    """Products. Drafts and retired ones exist for their seller's staff, support and admins alone."""

    permission_classes = [IsAuthenticatedOrReadOnly]
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Product]:
        products = shared.visible_products(self.request.user).select_related("seller", "category")
        if self.action != "list":
            return products
        asked = self.request.query_params
        for name in ("category", "seller", "q", "ordering"):
            if "\0" in asked.get(name, ""):  # PostgreSQL holds no such text, and would fail
                raise ValidationError({name: ["Null characters are not allowed."]})
        if category := asked.get("category"):
            products = products.filter(Q(category__slug=category) | Q(category__parent__slug=category))
        if seller := asked.get("seller"):
            products = products.filter(seller__slug=seller)
        if text := asked.get("q"):
            products = products.filter(
                Q(name__icontains=text) | Q(description__icontains=text) | Q(sku__iexact=text)
            )
        ordering = asked.get("ordering")
        if ordering and ordering not in ORDERINGS:
            raise ValidationError({"ordering": [f"Products are ordered by {', '.join(ORDERINGS)}."]})
        return products.order_by(*ORDERINGS.get(ordering or "", ["id"]))

    def get_serializer_class(self) -> type[BaseSerializer[Product]]:
        if self.action == "list":
            return ProductSerializer
        if self.action in ("create", "partial_update"):
            return ProductWriteSerializer
        return ProductDetailSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("category", str, description="A category's slug; its children count too."),
            OpenApiParameter("seller", str, description="A seller's slug."),
            OpenApiParameter("q", str, description="Text in the name or the description, or a whole SKU."),
            OpenApiParameter("ordering", str, enum=list(ORDERINGS)),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        product = self.get_object()
        if self._may_edit(product.seller):
            return Response(ProductForStaffSerializer(product).data)
        return Response(ProductDetailSerializer(product).data)

    def perform_create(self, serializer: BaseSerializer[Product]) -> None:
        self._insist(serializer.validated_data["seller"])
        product = serializer.save(created_by=self.request.user)
        shared.write_down(self.request.user, product, "product created")

    def perform_update(self, serializer: BaseSerializer[Product]) -> None:
        self._insist(serializer.instance.seller)
        if seller := serializer.validated_data.get("seller"):
            self._insist(seller)
        product = serializer.save()
        shared.write_down(self.request.user, product, "product changed")

    def perform_destroy(self, product: Product) -> None:
        self._insist(product.seller)
        product.delete()  # and with it the order lines that name it

    def _may_edit(self, seller: Seller) -> bool:
        user = self.request.user
        return shared.sees_everything(user) or shared.works_for(user, seller)

    def _insist(self, seller: Seller) -> None:
        if not self._may_edit(seller):
            raise PermissionDenied("Only the seller's staff, support and admins change a product.")


class ReviewViewSet(viewsets.ModelViewSet[Review]):
    """Reviews of one product; a buyer who has received it may write one."""

    serializer_class = ReviewSerializer
    permission_classes = [IsAuthenticatedOrReadOnly]
    pagination_class = Pages

    def get_product(self) -> Product:
        return get_object_or_404(shared.visible_products(self.request.user), pk=self.kwargs["pk"])

    def get_queryset(self) -> QuerySet[Review]:
        return self.get_product().reviews.select_related("author").order_by("-created_at", "-id")

    def perform_create(self, serializer: BaseSerializer[Review]) -> None:
        product, user = self.get_product(), self.request.user
        bought = OrderLine.objects.filter(order__buyer=user, product=product).exclude(
            order__status="cancelled"
        )
        if not bought.exists():
            raise PermissionDenied("Only somebody who has bought the product reviews it.")
        if product.reviews.filter(author=user).exists():
            raise ValidationError("You have reviewed this product already.")
        serializer.save(product=product, author=user)


class WatchViewSet(viewsets.GenericViewSet[Product]):
    """The caller's wishlist."""

    serializer_class = ProductSerializer
    permission_classes = [IsAuthenticated]
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Product]:
        return shared.visible_products(self.request.user).select_related("seller", "category").order_by("id")

    def list(self, request: Request) -> Response:
        watched = self.paginate_queryset(self.get_queryset().filter(watchers=request.user))
        return self.get_paginated_response(self.get_serializer(watched, many=True).data)

    @extend_schema(request=None, responses={204: None})
    def watch(self, request: Request, pk: int) -> Response:
        self.get_object().watchers.add(request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None})
    def unwatch(self, request: Request, pk: int) -> Response:
        self.get_object().watchers.remove(request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class CategoryViewSet(viewsets.ReadOnlyModelViewSet[Category]):
    """The tree of shelves."""

    queryset = Category.objects.select_related("parent").order_by("id")
    lookup_field = "slug"
    pagination_class = None

    def get_serializer_class(self) -> type[BaseSerializer[Category]]:
        return CategorySerializer if self.action == "list" else CategoryDetailSerializer


class SellerViewSet(viewsets.ReadOnlyModelViewSet[Seller]):
    """The shops."""

    queryset = Seller.objects.order_by("id")
    pagination_class = Pages

    def get_serializer_class(self) -> type[BaseSerializer[Seller]]:
        return SellerSerializer if self.action == "list" else SellerDetailSerializer
