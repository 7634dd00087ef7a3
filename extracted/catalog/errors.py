"""What the catalog refuses; nothing was changed when one of these is raised.

CatalogError
├── NotYours            only the seller's staff, support and admins change a product
├── NotBought           only somebody who has bought the product reviews it
├── ReviewedAlready     one review for each buyer and product
└── OrderingAway        whether somebody has bought it can't be learned (503)
"""

from rest_framework.exceptions import APIException


class CatalogError(Exception):
    """Root of what the catalog refuses."""


class NotYours(CatalogError):
    def __init__(self) -> None:
        super().__init__("Only the seller's staff, support and admins change a product; it is as it was.")


class NotBought(CatalogError):
    def __init__(self) -> None:
        super().__init__("Only somebody who has bought the product reviews it.")


class ReviewedAlready(CatalogError):
    def __init__(self) -> None:
        super().__init__("You have reviewed this product already.")


class OrderingAway(CatalogError, APIException):
    status_code = 503
    default_code = "lookup_failed"
    default_detail = "Whether you have bought it can't be looked up at the moment; try again shortly."
