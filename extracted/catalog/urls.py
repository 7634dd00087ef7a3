"""Addresses below /api/catalog/."""

from django.urls import path

from . import api

READ = {"get": "list"}
READ_ONE = {"get": "retrieve"}

app_name = "catalog"
urlpatterns = [
    path("products/", api.ProductViewSet.as_view(READ | {"post": "create"}), name="products"),
    path(
        "products/<int:pk>/",
        api.ProductViewSet.as_view(READ_ONE | {"patch": "partial_update", "delete": "destroy"}),
        name="product",
    ),
    path("products/<int:pk>/reviews/", api.ReviewViewSet.as_view(READ | {"post": "create"}), name="reviews"),
    path(
        "products/<int:pk>/watch/",
        api.WatchViewSet.as_view({"put": "watch", "delete": "unwatch"}),
        name="watch",
    ),
    path("watched/", api.WatchViewSet.as_view(READ), name="watched"),
    path("categories/", api.CategoryViewSet.as_view(READ), name="categories"),
    path("categories/<slug:slug>/", api.CategoryViewSet.as_view(READ_ONE), name="category"),
    path("sellers/", api.SellerViewSet.as_view(READ), name="sellers"),
    path("sellers/<int:pk>/", api.SellerViewSet.as_view(READ_ONE), name="seller"),
]
