"""Writes of ordering: the cart in the session, checkout, and what becomes of an order."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Model
from django.utils import timezone

from .. import shared
from ..catalog.models import Product
from ..fulfilment.services import call_off_shipments, prepare_shipments, send_shipments
from ..identity.models import User
from ..inventory.models import Reservation, StockItem
from ..payments.services import authorise_payment, capture_payment, give_money_back
from ..promotions.services import give_voucher_back, redeem_voucher, take_offer
from .errors import EmptyCart, NotForSale, OutOfStock, WrongStatus
from .models import Note, Order, OrderLine
from .selectors import CART, get_cart_total, list_cart_lines
from .tasks import confirm_order

RESERVED_FOR = datetime.timedelta(days=3)


def put_in_cart(*, session: Any, product: Product, quantity: int) -> None:
    """Have `quantity` pieces of a product in the cart; 0 takes it out."""
    cart = session.setdefault(CART, {})
    if quantity:
        cart[str(product.pk)] = quantity
    else:
        cart.pop(str(product.pk), None)
    session.modified = True


@transaction.atomic
def place_order(*, buyer: User, session: Any, address: dict[str, str], voucher: str = "") -> Order:
    """Order what is in the cart: stock, offers, voucher, payment and shipments change with it, or none does.

    One transaction over every context but reporting, and the provider is asked inside of it: its answer is
    waited for while rows of five contexts are locked, and what it has set aside outlives a rollback.
    """
    lines = list_cart_lines(session)
    if not lines:
        raise EmptyCart
    reservations = []
    for line in lines:
        if line.product.status != Product.Status.ACTIVE:
            raise NotForSale(line.product.name)
        reservations += _reserve(line.product, line.quantity)
    order = Order.objects.create(
        number=shared.order_number(reservations[0]),
        buyer=buyer,
        address=address,
        total=get_cart_total(lines),
        currency=lines[0].product.currency,
    )
    for reservation in reservations:
        reservation.order = order
        reservation.save()
    for line in lines:
        OrderLine.objects.create(
            order=order, product=line.product, quantity=line.quantity, unit_price=line.unit_price
        )
        if line.offer:
            take_offer(offer=line.offer, quantity=line.quantity)
    if voucher:
        redeem_voucher(code=voucher, order=order)
    authorise_payment(order=order)
    prepare_shipments(order=order)
    shared.write_down(buyer, order, "order placed")
    confirm_order.delay(order)
    session[CART] = {}
    return order


def _reserve(product: Product, quantity: int) -> list[Reservation]:
    """Promise pieces from the warehouses that have most of them."""
    items = list(
        StockItem.objects.select_for_update()
        .filter(product=product, quantity__gt=F("reserved"))
        .order_by(F("reserved") - F("quantity"), "id")
    )
    available = sum(item.available for item in items)
    if available < quantity:
        raise OutOfStock(product.name, available)
    reservations = []
    for item in items:
        taken = min(item.available, quantity)
        quantity -= taken
        item.reserved += taken
        item.save()
        reservations.append(
            Reservation.objects.create(
                product=product,
                warehouse=item.warehouse,
                quantity=taken,
                expires_at=timezone.now() + RESERVED_FOR,
            )
        )
        if not quantity:
            break
    return reservations


@transaction.atomic
def cancel_order(*, order: Order, by: User) -> Order:
    """Cancel an order that hasn't left yet, and give back its stock, its voucher and its money."""
    order = _placed(order, "cancelled")
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
    shared.write_down(by, order, "order cancelled")
    return order


@transaction.atomic
def ship_order(*, order: Order, by: User) -> Order:
    """Send an order off: its reserved pieces leave the warehouses, and its money is taken."""
    order = _placed(order, "shipped")
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


def _placed(order: Order, wish: str) -> Order:
    """The order, locked, if it is still only placed."""
    locked = Order.objects.select_for_update().get(pk=order.pk)
    if locked.status != Order.Status.PLACED:
        raise WrongStatus(locked.number, locked.status, wish)
    return locked


def _item_of(reservation: Reservation) -> StockItem:
    return StockItem.objects.select_for_update().get(
        product=reservation.product_id, warehouse=reservation.warehouse_id
    )


def write_note(*, author: User, subject: Model, text: str) -> Note:
    """Write something down about a row of any context."""
    return Note.objects.create(author=author, subject=subject, text=text)
