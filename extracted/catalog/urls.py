"""Addresses below /api/catalog/."""

from django.urls import path

from . import api

READ = {"get": "list"}
READ_ONE = {"get": "retrieve"}

app_name = "catalog"
urlpatterns = [
    path("products/", api.ProductViewSet.as_view(READ), name="products"),
    path("products/<int:pk>/", api.ProductViewSet.as_view(READ_ONE), name="product"),
    path("products/<int:pk>/reviews/", api.ReviewViewSet.as_view(READ), name="reviews"),
    path("categories/", api.CategoryViewSet.as_view(READ), name="categories"),
    path("categories/<slug:slug>/", api.CategoryViewSet.as_view(READ_ONE), name="category"),
    path("sellers/", api.SellerViewSet.as_view(READ), name="sellers"),
    path("sellers/<int:pk>/", api.SellerViewSet.as_view(READ_ONE), name="seller"),
]
