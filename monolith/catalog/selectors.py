"""Reads of the catalog: what each caller may see, in a fixed order."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count, Prefetch, Q, QuerySet

from strangler.chassis.identity import Caller

from .models import Category, Product, Review, Seller, Watch

ORDERINGS = {"": ["id"], "price": ["price", "id"], "-price": ["-price", "id"], "name": ["name", "id"]}
SEES_EVERYTHING = ("support", "admin")


def may_edit(caller: Caller, seller_id: int) -> bool:
    """Whether the caller works for the seller, or may step in for anybody who does."""
    return caller.role in SEES_EVERYTHING or seller_id in caller.sellers


def visible_to(caller: Caller) -> QuerySet[Product]:
    """Active products; drafts and retired ones for the seller's staff, support and admins."""
    products = Product.objects.select_related("seller", "category")
    if caller.role in SEES_EVERYTHING:
        return products
    return products.filter(Q(status=Product.Status.ACTIVE) | Q(seller__in=caller.sellers))


def list_products(
    caller: Caller,
    *,
    category: str = "",
    seller: str = "",
    text: str = "",
    ordering: str = "",
    ids: Collection[int] | None = None,
) -> QuerySet[Product]:
    """Products by a category's slug (its children count too), a seller's slug, words and ids; "" means any.

    Raises KeyError for an ordering that isn't in ORDERINGS.
    """
    products = visible_to(caller).order_by(*ORDERINGS[ordering])
    if category:
        products = products.filter(Q(category__slug=category) | Q(category__parent__slug=category))
    if seller:
        products = products.filter(seller__slug=seller)
    if text:
        products = products.filter(
            Q(name__icontains=text) | Q(description__icontains=text) | Q(sku__iexact=text)
        )
    if ids is not None:
        products = products.filter(pk__in=ids)
    return products


def get_product(caller: Caller, pk: int) -> Product:
    """One product. Raises Product.DoesNotExist: what the caller may not see isn't there."""
    return visible_to(caller).get(pk=pk)


def list_watched(caller: Caller) -> QuerySet[Product]:
    """What is on the wishlist of a caller who has signed in."""
    watched = Watch.objects.filter(user_id=int(caller.subject))
    return list_products(caller).filter(pk__in=watched.values("product_id"))


def list_reviews(product: Product) -> QuerySet[Review]:
    """The product's reviews, newest first."""
    return product.reviews.order_by("-created_at", "-id")


def list_categories() -> QuerySet[Category]:
    return Category.objects.select_related("parent").order_by("id")


def get_category(slug: str) -> Category:
    """A category with its parent and its children. Raises Category.DoesNotExist."""
    return list_categories().prefetch_related(Prefetch("children", list_categories())).get(slug=slug)


def list_sellers(*, slug: str = "") -> QuerySet[Seller]:
    """Every seller, or the one of that slug."""
    sellers = Seller.objects.order_by("id")
    return sellers.filter(slug=slug) if slug else sellers


def get_seller(pk: int) -> Seller:
    """A seller, with `product_count`: how many of its products are for sale. Raises Seller.DoesNotExist."""
    active = Count("products", filter=Q(products__status=Product.Status.ACTIVE))
    return list_sellers().annotate(product_count=active).get(pk=pk)
