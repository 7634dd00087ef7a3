"""Reads of promotions: what is on offer now, and whether a voucher would be taken."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from .errors import OrderTooSmall, UnknownVoucher, VoucherNotValid, VoucherUsedUp
from .models import Offer, Voucher


def list_current_offers() -> QuerySet[Offer]:
    """Offers that hold now and aren't sold out, the best one of a product last."""
    now = timezone.now()
    return (
        Offer.objects.filter(Q(limit=None) | Q(sold__lt=F("limit")), starts_at__lte=now, ends_at__gt=now)
        .select_related("product")
        .order_by("percent", "id")
    )


def get_offers_of(products: Iterable[int]) -> dict[int, Offer]:
    """The best current offer of each of these products (ids) that has one."""
    return {offer.product_id: offer for offer in list_current_offers().filter(product__in=products)}


def check_voucher(voucher: Voucher | None, *, buyer: Any, total: Decimal) -> Voucher:
    """The voucher, if the buyer may redeem it on an order of `total`; raises VoucherRefused."""
    if voucher is None or not _is_for(voucher, buyer):
        raise UnknownVoucher
    if not voucher.valid_from <= timezone.now() < voucher.valid_until:
        raise VoucherNotValid
    if voucher.limit is not None and voucher.redeemed >= voucher.limit:
        raise VoucherUsedUp
    if voucher.redemptions.filter(buyer=buyer).count() >= voucher.limit_per_buyer:
        raise VoucherUsedUp
    if total < voucher.minimum:
        raise OrderTooSmall(voucher.minimum)
    return voucher


def _is_for(voucher: Voucher, buyer: Any) -> bool:
    return not voucher.buyers.exists() or voucher.buyers.contains(buyer)
