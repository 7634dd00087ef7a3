"""The pages of cart, checkout and orders."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from .. import shared
from ..payments.errors import PaymentsError
from ..promotions.errors import PromotionsError, VoucherRefused
from . import selectors, services
from .errors import OrderingError
from .forms import AddForm, CheckoutForm, QuantityForm
from .models import Order


@require_safe
def cart(request: HttpRequest) -> HttpResponse:
    return _cart_page(request)


@require_POST
def add_to_cart(request: HttpRequest, pk: int) -> HttpResponse:
    """Put more pieces of a product into the cart."""
    product = get_object_or_404(shared.visible_products(request.user), pk=pk)
    there = request.session.get(selectors.CART, {}).get(str(pk), 0)
    form = AddForm(request.POST)
    if not form.is_valid() or there + form.cleaned_data["quantity"] > 999:
        messages.error(request, "Between 1 and 999 pieces of a product fit into the cart; it is as it was.")
        return redirect("pages:product", pk)
    services.put_in_cart(
        session=request.session, product=product, quantity=there + form.cleaned_data["quantity"]
    )
    messages.success(request, f"{product.name} is in your cart.")
    return redirect("pages:cart")


@require_POST
def change_cart(request: HttpRequest, pk: int) -> HttpResponse:
    """Have so many pieces of a product in the cart, or none."""
    line = next((line for line in selectors.list_cart_lines(request.session) if line.product.pk == pk), None)
    if line is None:  # Taken out in another window already.
        return redirect("pages:cart")
    form = QuantityForm(request.POST, auto_id=f"id_{pk}_%s")
    if not form.is_valid():
        return _cart_page(request, {pk: form})
    services.put_in_cart(
        session=request.session, product=line.product, quantity=form.cleaned_data["quantity"]
    )
    return redirect("pages:cart")


def _cart_page(request: HttpRequest, changed: dict[int, QuantityForm] | None = None) -> HttpResponse:
    lines = _cart_lines(request)
    rows = [
        (
            line,
            (changed or {}).get(line.product.pk)
            or QuantityForm(initial={"quantity": line.quantity}, auto_id=f"id_{line.product.pk}_%s"),
        )
        for line in lines
    ]
    return render(request, "ordering/cart.html", {"rows": rows, "total": selectors.get_cart_total(lines)})


def _cart_lines(request: HttpRequest) -> list[selectors.CartLine]:
    lines = selectors.list_cart_lines(request.session)
    # entangled: the pages of ordering show the catalog's shelves and the inventory's stock
    prefetch_related_objects([line.product for line in lines], "category__parent", "stock")
    return lines


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def checkout(request: HttpRequest) -> HttpResponse:
    """Ask for the address and place the order."""
    form = CheckoutForm(request.POST or None, initial=_last_address(request.user))
    if form.is_valid():
        address = dict(form.cleaned_data)
        voucher = address.pop("voucher")
        try:
            order = services.place_order(
                buyer=request.user, session=request.session, address=address, voucher=voucher
            )
        except VoucherRefused as refusal:
            form.add_error("voucher", str(refusal.detail))
        except (OrderingError, PaymentsError, PromotionsError) as refusal:
            form.add_error(None, str(refusal.detail))
        else:
            messages.success(request, "Thank you! Your order is placed.")
            return redirect("pages:order", order.number)
    lines = _cart_lines(request)
    context = {"form": form, "lines": lines, "total": selectors.get_cart_total(lines)}
    return render(request, "ordering/checkout.html", context)


def _last_address(user: Any) -> dict[str, str]:
    last = user.orders.order_by("-id").first()
    return last.address if last else {"name": user.get_full_name()}


def _get_order(request: HttpRequest, number: str) -> Order:
    """An order that the user may see: a buyer's own, anybody's for support and admins."""
    # entangled: an order's page reads rows of the inventory, the catalog, payments, promotions and fulfilment
    orders = selectors.list_orders(request.user).select_related("payment", "redemption__voucher")
    orders = orders.prefetch_related(
        "lines__product__seller",
        "lines__product__category__parent",
        "reservations__warehouse",
        "shipments__warehouse",
        "shipments__parcels",
        "notes__author",
    )
    return get_object_or_404(orders, number=number)


@require_safe
@login_required
def order(request: HttpRequest, number: str) -> HttpResponse:
    order = _get_order(request, number)
    return render(
        request, "ordering/order.html", {"order": order, "is_support": shared.sees_everything(request.user)}
    )


@require_POST
@login_required
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    return _move(request, _get_order(request, number), services.cancel_order)


@require_POST
@login_required
def ship(request: HttpRequest, number: str) -> HttpResponse:
    order = _get_order(request, number)
    if not shared.sees_everything(request.user):
        raise PermissionDenied("Support and admins ship orders.")
    return _move(request, order, services.ship_order)


def _move(request: HttpRequest, order: Order, service: Any) -> HttpResponse:
    try:
        order = service(order=order, by=request.user)
    except (OrderingError, PaymentsError) as refusal:
        messages.error(request, str(refusal.detail))
    else:
        messages.success(request, f"Order {order.number} is {order.status}.")
    return redirect("pages:order", order.number)
