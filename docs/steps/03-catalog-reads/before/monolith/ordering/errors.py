"""What ordering refuses; nothing was changed when one of these is raised.

OrderingError
├── EmptyCart          there is nothing to order
├── OutOfStock         fewer pieces are free than were asked for
├── NotForSale         the product is no longer offered
└── WrongStatus        the order is past that
"""

from rest_framework.exceptions import APIException


class OrderingError(APIException):
    """Root of what ordering refuses; the API answers 409."""

    status_code = 409
    default_code = "refused"


class EmptyCart(OrderingError):
    default_detail = "Your cart is empty."
    default_code = "empty_cart"


class OutOfStock(OrderingError):
    default_code = "out_of_stock"

    def __init__(self, name: str, available: int) -> None:
        super().__init__(
            f"Of {name!r} only {available} can be ordered at the moment; your cart is as it was."
        )


class NotForSale(OrderingError):
    default_code = "not_for_sale"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no longer offered; take it out of your cart to go on.")


class WrongStatus(OrderingError):
    default_code = "wrong_status"

    def __init__(self, number: str, status: str, wish: str) -> None:
        super().__init__(f"Order {number} is {status} and can't be {wish} any more.")
