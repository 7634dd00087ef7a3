"""What promotions refuse; nothing was changed when one of these is raised.

PromotionsError
├── OfferSoldOut            fewer pieces are on offer than were asked for
└── VoucherRefused
    ├── UnknownVoucher      there is none of that code, or it isn't for this buyer
    ├── VoucherNotValid     it isn't valid yet, or no longer
    ├── VoucherUsedUp       it was redeemed as often as it may be
    └── OrderTooSmall       it is for larger orders
"""

from decimal import Decimal

from rest_framework.exceptions import APIException


class PromotionsError(APIException):
    """Root of what promotions refuse; the API answers 409."""

    status_code = 409
    default_code = "refused"


class OfferSoldOut(PromotionsError):
    default_code = "offer_sold_out"

    def __init__(self, name: str, left: int) -> None:
        super().__init__(f"Of {name!r} only {left} are left at the offered price; your cart is as it was.")


class VoucherRefused(PromotionsError):
    """A voucher that can't be redeemed; the order wasn't placed."""


class UnknownVoucher(VoucherRefused):
    default_detail = "There is no such voucher for you; check the code, or order without it."
    default_code = "unknown_voucher"


class VoucherNotValid(VoucherRefused):
    default_detail = "The voucher isn't valid today; order without it."
    default_code = "voucher_not_valid"


class VoucherUsedUp(VoucherRefused):
    default_detail = "The voucher was redeemed as often as it may be; order without it."
    default_code = "voucher_used_up"


class OrderTooSmall(VoucherRefused):
    default_code = "order_too_small"

    def __init__(self, minimum: Decimal) -> None:
        super().__init__(f"The voucher is for orders from {minimum:.2f} on.")
