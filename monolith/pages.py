"""Addresses of the server-rendered pages: shop, cart, checkout, account. The views live in the contexts."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from .catalog import views as catalog
from .identity import views as identity
from .ordering import views as ordering
from .reporting import views as reporting

app_name = "pages"
urlpatterns = [
    path("", catalog.shop, name="home"),
    path("shop/", catalog.shop, name="shop"),
    path("shop/products/<int:pk>/", catalog.product, name="product"),
    path("shop/products/<int:pk>/watch/", catalog.watch, name="watch"),
    path("shop/products/<int:pk>/review/", catalog.review, name="review"),
    path("cart/", ordering.cart, name="cart"),
    path("cart/<int:pk>/", ordering.change_cart, name="change-cart"),
    path("cart/<int:pk>/add/", ordering.add_to_cart, name="add-to-cart"),
    path("checkout/", ordering.checkout, name="checkout"),
    path("orders/<slug:number>/", ordering.order, name="order"),
    path("orders/<slug:number>/cancel/", ordering.cancel, name="cancel"),
    path("orders/<slug:number>/ship/", ordering.ship, name="ship"),
    path("reports/sales/", reporting.sales, name="sales"),
    path("account/", identity.account, name="account"),
    path("account/desk/", catalog.desk, name="desk"),
    path("account/desk/<int:pk>/", catalog.desk_product, name="desk-product"),
    path("account/login/", LoginView.as_view(template_name="identity/login.html"), name="login"),
    path("account/logout/", LogoutView.as_view(), name="logout"),
    path("account/register/", identity.register, name="register"),
]
