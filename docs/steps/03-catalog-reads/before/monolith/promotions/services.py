"""Writes of promotions; all of them run inside of ordering's transactions."""

from __future__ import annotations

from django.db.models import F

from ..identity.models import User
from ..ordering.models import Order
from .errors import OfferSoldOut
from .models import Offer, Redemption, Voucher
from .selectors import check_voucher


def redeem_voucher(*, code: str, order: Order) -> Redemption:
    """Take a voucher's discount off the order's total. Raises VoucherRefused."""
    # entangled: identity's row is locked, or two checkouts of one buyer would both find the voucher unused
    buyer = User.objects.select_for_update().get(pk=order.buyer_id)
    voucher = Voucher.objects.select_for_update().filter(code=code.strip().upper()).first()
    voucher = check_voucher(voucher, buyer=buyer, total=order.total)
    redemption = Redemption.objects.create(
        voucher=voucher, order=order, buyer=buyer, amount=voucher.discount_on(order.total)
    )
    voucher.redeemed += 1
    voucher.save()
    order.total -= redemption.amount
    order.save()  # entangled: promotions write ordering's row
    return redemption


def give_voucher_back(*, order: Order) -> None:
    """Let the voucher of a cancelled order be redeemed again."""
    for redemption in Redemption.objects.filter(order=order):
        Voucher.objects.filter(pk=redemption.voucher_id).update(redeemed=F("redeemed") - 1)
        redemption.delete()


def take_offer(*, offer: Offer, quantity: int) -> None:
    """Count pieces that are sold at the offered price. Raises OfferSoldOut."""
    locked = Offer.objects.select_for_update(of=["self"]).select_related("product").get(pk=offer.pk)
    if locked.limit is not None and locked.sold + quantity > locked.limit:
        raise OfferSoldOut(locked.product.name, locked.limit - locked.sold)
    locked.sold += quantity
    locked.save()
