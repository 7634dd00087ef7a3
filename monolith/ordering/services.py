"""Writes of ordering: the cart in the session, checkout, and what becomes of an order."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F, Model
from django.utils import timezone

from strangler.chassis import outbox

from .. import shared
from ..fulfilment.services import call_off_shipments, prepare_shipments, send_shipments
from ..identity.models import User
from ..inventory.models import Reservation, StockItem
from ..payments.services import authorise_payment, capture_payment, give_money_back
from ..promotions.services import give_voucher_back, redeem_voucher, take_offer
from . import events
from .anticorruption import Article
from .errors import EmptyCart, NotForSale, OutOfStock, WrongStatus
from .models import Note, Order, OrderLine
from .selectors import CART, CartLine, get_cart_total, list_cart_lines

RESERVED_FOR = datetime.timedelta(days=3)


def put_in_cart(*, session: Any, article: Article, quantity: int) -> None:
    """Have `quantity` pieces of an article in the cart; 0 takes it out."""
    cart = session.setdefault(CART, {})
    if quantity:
        cart[str(article.id)] = quantity
    else:
        cart.pop(str(article.id), None)
    session.modified = True


def place_order(*, buyer: User, session: Any, address: dict[str, str], voucher: str = "") -> Order:
    """Order what is in the cart: stock, offers, voucher, payment and shipments change with it, or none does.

    The catalog is asked before the transaction, which would otherwise wait for it with rows locked. Raises
    OrderingError, and what payments and promotions refuse.
    """
    lines = list_cart_lines(session)
    if not lines:
        raise EmptyCart
    for line in lines:
        if not line.article.is_offered:
            raise NotForSale(line.article.name)
    order = _place(lines, buyer, address, voucher)
    session[CART] = {}
    return order


@transaction.atomic
def _place(lines: list[CartLine], buyer: User, address: dict[str, str], voucher: str) -> Order:
    """One transaction over every context but reporting, and the provider is asked inside of it: its answer is
    waited for while rows of five contexts are locked, and what it has set aside outlives a rollback.
    """
    _lock_stock([line.article.id for line in lines])
    reservations = []
    for line in lines:
        reservations += _reserve(line.article, line.quantity)
    order = Order.objects.create(
        number=shared.order_number(reservations[0]),
        buyer=buyer,
        address=address,
        total=get_cart_total(lines),
        currency=lines[0].article.currency,
    )
    for reservation in reservations:
        reservation.order = order
        reservation.save()
    for line in lines:
        OrderLine.objects.create(
            order=order, product_id=line.article.id, quantity=line.quantity, unit_price=line.unit_price
        )
        if line.offer:
            take_offer(offer=line.offer, quantity=line.quantity)
    if voucher:
        redeem_voucher(code=voucher, order=order)
    authorise_payment(order=order)
    prepare_shipments(order=order)
    shared.write_down(buyer, order, "order placed")
    outbox.record(events.OrderPlaced.of(order))
    return order


def _lock_stock(products: Iterable[int]) -> None:
    """Lock all stock of these products in one order, before any of it is saved: what is free is announced
    under a lock of each product, and two who come from different sides would wait for each other.
    """
    list(
        StockItem.objects.select_for_update()
        .filter(product_id__in=sorted(set(products)))
        .order_by("product_id", "id")
    )


def _reserve(article: Article, quantity: int) -> list[Reservation]:
    """Promise pieces from the warehouses that have most of them."""
    items = list(
        StockItem.objects.filter(product=article.id, quantity__gt=F("reserved")).order_by(
            F("reserved") - F("quantity"), "id"
        )
    )
    available = sum(item.available for item in items)
    if available < quantity:
        raise OutOfStock(article.name, available)
    reservations = []
    for item in items:
        taken = min(item.available, quantity)
        quantity -= taken
        item.reserved += taken
        item.save()
        reservations.append(
            Reservation.objects.create(
                product_id=article.id,
                warehouse=item.warehouse,
                quantity=taken,
                expires_at=timezone.now() + RESERVED_FOR,
            )
        )
        if not quantity:
            break
    return reservations


@transaction.atomic
def cancel_order(*, order: Order, by: User | None) -> Order:
    """Cancel an order that hasn't left yet, and give back its stock, its voucher and its money.

    `by` is None where nobody did: its pieces were promised for too long.
    """
    order = _placed(order, "cancelled")
    _lock_stock(order.reservations.values_list("product_id", flat=True))
    for reservation in order.reservations.order_by("id"):
        item = _item_of(reservation)
        item.reserved -= reservation.quantity
        item.save()
        reservation.delete()
    call_off_shipments(order=order)
    give_voucher_back(order=order)
    give_money_back(order=order)
    order.status = Order.Status.CANCELLED
    order.save()
    outbox.record(events.OrderCancelled.of(order))
    shared.write_down(by, order, "order cancelled")
    return order


@transaction.atomic
def ship_order(*, order: Order, by: User) -> Order:
    """Send an order off: its reserved pieces leave the warehouses, and its money is taken."""
    order = _placed(order, "shipped")
    _lock_stock(order.reservations.values_list("product_id", flat=True))
    for reservation in order.reservations.order_by("id"):
        item = _item_of(reservation)
        item.reserved -= reservation.quantity
        item.quantity -= reservation.quantity
        item.save()
        reservation.delete()
    send_shipments(order=order)
    capture_payment(order=order)
    order.status = Order.Status.SHIPPED
    order.save()
    shared.write_down(by, order, "order shipped")
    return order


@transaction.atomic
def correct_order(*, order: Order) -> None:
    """Save an order as somebody behind the counter wants it. Its lines come after it: `restate_order`."""
    before = Order.objects.select_for_update().get(pk=order.pk)
    order.save()
    if order.status == Order.Status.CANCELLED != before.status:
        outbox.record(events.OrderCancelled.of(order))


@transaction.atomic
def restate_order(*, order: int) -> None:
    """Announce an order (its key) as it stands, after a correction of it or of its lines."""
    row = Order.objects.select_for_update().get(pk=order)
    outbox.record(events.OrderRestated.of(row))


@transaction.atomic
def strike_order(*, order: Order) -> None:
    """Delete an order, and announce it."""
    gone = events.OrderDeleted.of(order)
    order.delete()
    outbox.record(gone)


def _placed(order: Order, wish: str) -> Order:
    """The order, locked, if it is still only placed."""
    locked = Order.objects.select_for_update().get(pk=order.pk)
    if locked.status != Order.Status.PLACED:
        raise WrongStatus(locked.number, locked.status, wish)
    return locked


def _item_of(reservation: Reservation) -> StockItem:
    return StockItem.objects.get(product=reservation.product_id, warehouse=reservation.warehouse_id)


def write_note(*, author: User, subject: Model, text: str) -> Note:
    """Write something down about a row of any context."""
    return Note.objects.create(author=author, subject=subject, text=text)
