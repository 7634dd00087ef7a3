"""The shop's pages: what is for sale, one product, and the desk where sellers' staff keep theirs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from .. import shared
from ..counter import CounterClosed, CounterRefuses, counter
from ..inventory.models import StockItem
from ..ordering.forms import AddForm
from ..promotions.selectors import get_offers_of
from ..storefront import ShopClosed, Wanted, storefront
from .forms import DeskForm, ReviewForm, ShopForm
from .models import Product, Review

DESK_PAGE = 20
REVIEWS_SHOWN = 20


@require_safe
def shop(request: HttpRequest) -> HttpResponse:
    """Products by category, seller and words, a page at a time."""
    form = ShopForm(request.GET)
    form.is_valid()  # what isn't valid isn't used
    asked = form.cleaned_data
    wanted = Wanted(
        category=asked.get("category", ""),
        seller=asked.get("seller", ""),
        text=asked.get("q", ""),
        ordering=asked.get("ordering", ""),
        page=asked.get("page") or 1,
    )
    try:
        return _shop_page(request, form, wanted)
    except ShopClosed:
        sentence = "What is for sale can't be looked up at the moment. Try again shortly."
        return render(request, "away.html", {"sentence": sentence}, status=503)


def _shop_page(request: HttpRequest, form: ShopForm, wanted: Wanted) -> HttpResponse:
    catalog = storefront()
    shelves = {shelf.slug: shelf for shelf in catalog.list_shelves()}
    category, seller = shelves.get(wanted.category), None
    if wanted.category and category is None:
        raise Http404
    if wanted.seller and (seller := catalog.find_shop(wanted.seller)) is None:
        raise Http404
    page = catalog.show(request.user, wanted)
    departments = sorted((one for one in shelves.values() if one.is_department), key=lambda one: one.name)
    context = {
        "form": form,
        "category": category,
        "seller": seller,
        "departments": [
            (one, [below for below in shelves.values() if below.department == one.slug != below.slug])
            for one in departments
        ],
        "page": page,
        "cards": [(card, shelves[card.shelf].department if card.shelf in shelves else "") for card in page],
        "is_front": not (category or seller or wanted.text or "page" in request.GET),
    }
    return render(request, "catalog/shop.html", context)


@require_safe
def product(request: HttpRequest, pk: int) -> HttpResponse:
    return _product_page(request, pk)


@require_POST
@login_required
def watch(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a product on the wishlist, or take it off."""
    product = get_object_or_404(shared.visible_products(request.user), pk=pk)
    try:
        if request.POST.get("watch") == "off":
            counter().unwatch_product(request.user, pk)
            messages.success(request, f"{product.name} is off your wishlist.")
        else:
            counter().watch_product(request.user, pk)
            messages.success(request, f"{product.name} is on your wishlist.")
    except CounterRefuses as refusal:
        messages.error(request, str(refusal))
    except CounterClosed:
        return _closed(request)
    return redirect("pages:product", pk)


@require_POST
@login_required
def review(request: HttpRequest, pk: int) -> HttpResponse:
    product = get_object_or_404(shared.visible_products(request.user), pk=pk)
    if not _may_review(request.user, product):
        raise PermissionDenied("A product is reviewed once, by somebody who has bought it.")
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _product_page(request, pk, form)
    try:
        counter().write_review(request.user, pk, **form.cleaned_data)
    except CounterRefuses as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except CounterClosed:
        return _closed(request)
    messages.success(request, "Thank you for your review.")
    return redirect("pages:product", pk)


def _product_page(request: HttpRequest, pk: int, review_form: ReviewForm | None = None) -> HttpResponse:
    reviews = Review.objects.order_by("-created_at", "-id")[:REVIEWS_SHOWN]
    stock = StockItem.objects.select_related("warehouse").order_by("id")
    product = get_object_or_404(
        shared.visible_products(request.user)
        .select_related("seller", "category__parent")
        .prefetch_related(Prefetch("stock", stock), Prefetch("reviews", reviews, to_attr="latest_reviews")),
        pk=pk,
    )
    if review_form is None and _may_review(request.user, product):
        review_form = ReviewForm()
    context = {
        "product": product,
        "facts": _facts(product),
        "offer": get_offers_of([pk]).get(pk),  # entangled: a page of the catalog shows promotions' offers
        "available": sum(item.available for item in product.stock.all()),
        "also_bought": _also_bought(product),
        "is_watched": request.user.is_authenticated and product.watches.filter(user=request.user).exists(),
        "may_edit": shared.works_for(request.user, product.seller),
        "add_form": AddForm(),
        "review_form": review_form,
    }
    return render(request, "catalog/product.html", context)


def _closed(request: HttpRequest) -> HttpResponse:
    sentence = "The catalog can't be asked at the moment. Look whether your change is there, or try again."
    return render(request, "away.html", {"sentence": sentence}, status=503)


def _facts(product: Product) -> list[tuple[str, str]]:
    """The product's own attributes, ready to be read; an attribute may be a list."""
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in product.attributes.items()
    ]


def _also_bought(product: Product) -> QuerySet[Product]:
    """What was in the same orders, the most frequent first."""
    # entangled: a query of the catalog that joins ordering's tables
    return (
        Product.objects.filter(status=Product.Status.ACTIVE, order_lines__order__lines__product=product)
        .exclude(pk=product.pk)
        .annotate(together=Count("order_lines"))
        .select_related("seller", "category__parent")
        .order_by("-together", "id")[:4]
    )


def _may_review(user: Any, product: Product) -> bool:
    if not user.is_authenticated or product.reviews.filter(author=user).exists():
        return False
    # entangled: a rule of the catalog that reads ordering's rows, by a reverse accessor of the user
    return user.orders.exclude(status="cancelled").filter(lines__product=product).exists()


@require_safe
@login_required
def desk(request: HttpRequest) -> HttpResponse:
    """The products of the sellers that the user works for, each with a form of its own."""
    return _desk_page(request)


@require_POST
@login_required
@transaction.atomic
def desk_product(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a product's price, status and stock."""
    # entangled: one transaction over the catalog's and the inventory's rows, while both are here
    product = get_object_or_404(_own_products(request), pk=pk)
    stock = StockItem.objects.select_for_update(of=["self"]).filter(product=product)
    form = DeskForm(
        request.POST,
        instance=product,
        prefix=f"p{pk}",
        stock=stock.select_related("warehouse").order_by("id"),
    )
    if not form.is_valid():
        return _desk_page(request, form)
    try:
        counter().change_product(request.user, pk, **form.changes)
    except CounterRefuses as refusal:
        form.add_error(None, str(refusal))
        return _desk_page(request, form)
    except CounterClosed:
        return _closed(request)
    form.save_stock()
    messages.success(request, f"{product.name} is saved.")
    return redirect(f"{reverse('pages:desk')}?{request.GET.urlencode()}#p{pk}")


def _desk_page(request: HttpRequest, changed: DeskForm | None = None) -> HttpResponse:
    products = _own_products(request).select_related("seller", "category__parent")
    stock = StockItem.objects.select_related("warehouse").order_by("id")
    page = Paginator(
        products.prefetch_related(Prefetch("stock", stock)).order_by("seller", "name", "id"), DESK_PAGE
    ).get_page(request.GET.get("page"))
    forms = [
        changed
        if changed and changed.instance.pk == product.pk
        else DeskForm(instance=product, prefix=f"p{product.pk}", stock=product.stock.all())
        for product in page
    ]
    context = {"page": page, "forms": forms, "employments": request.user.employments.select_related("seller")}
    return render(request, "catalog/desk.html", context)


def _own_products(request: HttpRequest) -> QuerySet[Product]:
    """Products of the sellers that the user works for; refuses whoever works for none."""
    sellers = request.user.employments.values("seller")
    if not sellers.exists():
        raise PermissionDenied("The seller's desk is for people who work for a seller.")
    return Product.objects.filter(seller__in=sellers)
