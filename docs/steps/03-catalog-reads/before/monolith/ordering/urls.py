"""Addresses below /api/ordering/."""

from django.urls import path

from . import api

app_name = "ordering"
urlpatterns = [
    path("cart/", api.Cart.as_view(), name="cart"),
    path("cart/<int:product>/", api.CartItem.as_view(), name="cart-item"),
    path("orders/", api.OrderViewSet.as_view({"get": "list", "post": "create"}), name="orders"),
    path("orders/<int:pk>/", api.OrderViewSet.as_view({"get": "retrieve"}), name="order"),
    path("orders/<int:pk>/cancel/", api.OrderViewSet.as_view({"post": "cancel"}), name="cancel"),
    path("orders/<int:pk>/ship/", api.OrderViewSet.as_view({"post": "ship"}), name="ship"),
    path(
        "orders/<int:pk>/notes/",
        api.OrderNoteViewSet.as_view({"get": "list", "post": "create"}),
        name="notes",
    ),
]
