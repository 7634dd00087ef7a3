"""The account's pages: registering, and a person's profile, orders and wishlist.

Django's own views sign people in and out.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from .. import shared
from .forms import ProfileForm, RegisterForm
from .models import User

ORDERS_PAGE = 10


@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """Open an account and sign in; what is in the cart stays there."""
    if request.user.is_authenticated:
        return redirect("pages:account")
    form = RegisterForm(request.POST or None)
    if form.is_valid():
        login(request, form.save())
        messages.success(request, "Welcome! Your account is open.")
        return redirect("pages:account")
    return render(request, "identity/register.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account(request: HttpRequest) -> HttpResponse:
    user = request.user
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if form.is_valid():
        form.save()
        messages.success(request, "Your profile is saved.")
        return redirect("pages:account")
    # entangled: a page of identity reads ordering's and the catalog's rows by the user's reverse accessors
    orders = user.orders.prefetch_related("lines__product").order_by("-id")
    context = {
        "form": form,
        "page": Paginator(orders, ORDERS_PAGE).get_page(request.GET.get("page")),
        "wishlist": shared.visible_products(user)
        .filter(watchers=user)
        .select_related("seller", "category__parent")
        .order_by("name", "id"),
        "employments": user.employments.select_related("seller").order_by("seller__name"),
    }
    return render(request, "identity/account.html", context)
