"""Writes of the catalog: one function for each use case, one transaction each."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from strangler.chassis import outbox
from strangler.chassis.identity import Caller

from . import events
from .anticorruption import neighbours
from .errors import NotBought, NotYours, ReviewedAlready
from .models import Product, Review, Seller, Watch
from .selectors import may_edit


@transaction.atomic
def enter_product(*, caller: Caller, seller: Seller, **fields: Any) -> Product:
    """Enter a product, a draft unless `fields` say otherwise. Raises NotYours."""
    _insist(caller, seller)
    product = Product(seller=seller, created_by_id=int(caller.subject), **fields)
    save_product(product=product)
    outbox.record(events.ProductEdited(product.pk, int(caller.subject), "product created"))
    return product


@transaction.atomic
def change_product(*, caller: Caller, product: Product, **fields: Any) -> Product:
    """Give some of the product's fields other values. Raises NotYours."""
    _insist(caller, product.seller)
    if "seller" in fields:
        _insist(caller, fields["seller"])
    product = Product.objects.select_for_update().get(pk=product.pk)
    for name, value in fields.items():
        setattr(product, name, value)
    save_product(product=product)
    outbox.record(events.ProductEdited(product.pk, int(caller.subject), "product changed"))
    return product


@transaction.atomic
def save_product(*, product: Product) -> None:
    """Save a product as it is, and announce what is different: forms and the admin save through here too."""
    before = Product.objects.select_for_update().filter(pk=product.pk).first()
    product.save()
    outbox.record(*events.of_saved_product(before, product))


@transaction.atomic
def delete_product(*, caller: Caller, product: Product) -> None:
    """Delete a product. Raises NotYours."""
    _insist(caller, product.seller)
    remove_product(product=product)


@transaction.atomic
def remove_product(*, product: Product) -> None:
    """Delete a product whoever asks, and announce it: what others keep about it goes when they hear of it."""
    gone = events.ProductDeleted(product.pk)
    product.delete()
    outbox.record(gone)


@transaction.atomic
def save_seller(*, seller: Seller) -> None:
    """Save a seller as it is, and announce what is different."""
    before = Seller.objects.select_for_update().filter(pk=seller.pk).first()
    seller.save()
    outbox.record(*events.of_saved_seller(before, seller))


@transaction.atomic
def remove_seller(*, seller: Seller) -> None:
    """Delete a seller with all its products, and announce each of them."""
    gone = [events.ProductDeleted(key) for key in seller.products.values_list("pk", flat=True)]
    last = events.SellerDeleted(seller.pk)
    seller.delete()
    outbox.record(*gone, last)


def _insist(caller: Caller, seller: Seller) -> None:
    if not may_edit(caller, seller.pk):
        raise NotYours


def write_review(*, caller: Caller, product: Product, rating: int, text: str = "") -> Review:
    """Review a product; `rating` counts stars from 1 to 5. Raises NotBought or ReviewedAlready."""
    # Asked before the transaction begins: no row is locked while a neighbour takes its time.
    if not neighbours.has_bought(caller, product.pk):
        raise NotBought
    author = int(caller.subject)
    with transaction.atomic():
        # Two reviews of one buyer at once: the row lock lets the second one see the first.
        product = Product.objects.select_for_update().get(pk=product.pk)
        if product.reviews.filter(author_id=author).exists():
            raise ReviewedAlready
        return Review.objects.create(
            product=product, author_id=author, author_name=caller.name, rating=rating, text=text
        )


def watch_product(*, caller: Caller, product: Product) -> None:
    """Put a product on the caller's wishlist."""
    Watch.objects.get_or_create(product=product, user_id=int(caller.subject))


def unwatch_product(*, caller: Caller, product: Product) -> None:
    """Take a product off the caller's wishlist."""
    Watch.objects.filter(product=product, user_id=int(caller.subject)).delete()
