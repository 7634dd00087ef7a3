"""What the pages have the catalog write, in their own words: they stay here when the catalog moves.

The setting CATALOG_URL chooses who is asked, as in the shop: the catalog's API at that address, as the user
who sits in front of the page, whichever home owns the rows; or the catalog in this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from django.conf import settings
from django.db.models import Model

from strangler.chassis.http_client import NoAnswer, Refused, send_json

from .storefront import caller_for

FOLLOWED_WITHIN = 2.0  # seconds that a page waits for the rows that it shows
LOOK_AGAIN = 0.02  # seconds


class CounterClosed(Exception):
    """The catalog gives no answer that can be used: nobody knows whether it has written."""


class CounterRefuses(Exception):
    """The catalog doesn't do that, and says why; nothing was changed."""


class Counter(Protocol):
    """Where a page hands in what somebody wants changed. Each raises CounterRefuses."""

    def change_product(self, user: Any, product: int, *, price: str, status: str) -> None:
        """Give a product another price and status."""

    def write_review(self, user: Any, product: int, *, rating: int, text: str) -> None:
        """Review a product."""

    def watch_product(self, user: Any, product: int) -> None:
        """Put a product on the user's wishlist."""

    def unwatch_product(self, user: Any, product: int) -> None:
        """Take a product off the user's wishlist."""


class InProcess:
    """The catalog's services in this process."""

    def change_product(self, user: Any, product: int, *, price: str, status: str) -> None:
        from .catalog.services import change_product

        self._have(change_product, user, product, price=price, status=status)

    def write_review(self, user: Any, product: int, *, rating: int, text: str) -> None:
        from .catalog.services import write_review

        self._have(write_review, user, product, rating=rating, text=text)

    def watch_product(self, user: Any, product: int) -> None:
        from .catalog.services import watch_product

        self._have(watch_product, user, product)

    def unwatch_product(self, user: Any, product: int) -> None:
        from .catalog.services import unwatch_product

        self._have(unwatch_product, user, product)

    def _have(self, service: Callable[..., Any], user: Any, product: int, **what: Any) -> None:
        from .catalog.errors import CatalogError
        from .catalog.models import Product
        from .catalog.selectors import get_product

        caller = caller_for(user)
        try:
            service(caller=caller, product=get_product(caller, product), **what)
        except (CatalogError, Product.DoesNotExist) as refusal:
            raise CounterRefuses(str(refusal)) from refusal


class OverHttp:
    """The catalog's API. Raises CounterClosed besides.

    Whoever owns the rows has written when it answers. The page that is shown next reads this home's rows, so
    it is waited for the follower, for a moment.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def change_product(self, user: Any, product: int, *, price: str, status: str) -> None:
        body = {"price": str(price), "status": status}
        now = self._send(user, "PATCH", f"/api/catalog/products/{product}/", body)
        self._wait_for("Product", pk=product, updated_at__gte=now["updated_at"])

    def write_review(self, user: Any, product: int, *, rating: int, text: str) -> None:
        body = {"rating": rating, "text": text}
        review = self._send(user, "POST", f"/api/catalog/products/{product}/reviews/", body)
        self._wait_for("Review", pk=review["id"])

    def watch_product(self, user: Any, product: int) -> None:
        self._send(user, "PUT", f"/api/catalog/products/{product}/watch/")
        self._wait_for("Watch", product_id=product, user_id=user.pk)

    def unwatch_product(self, user: Any, product: int) -> None:
        self._send(user, "DELETE", f"/api/catalog/products/{product}/watch/")
        self._wait_for("Watch", product_id=product, user_id=user.pk, there=False)

    def _send(self, user: Any, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        from .identity.services import issue_token

        try:
            return send_json(self._url, method, path, body, token=issue_token(user))
        except Refused as refusal:
            raise CounterRefuses(str(refusal)) from refusal
        except NoAnswer as error:
            raise CounterClosed(str(error)) from error

    def _wait_for(self, name: str, *, there: bool = True, **row: Any) -> None:
        from .catalog import models

        model: type[Model] = getattr(models, name)
        latest = time.monotonic() + FOLLOWED_WITHIN
        while model._default_manager.filter(**row).exists() is not there and time.monotonic() < latest:
            time.sleep(LOOK_AGAIN)


def counter() -> Counter:
    """The adapter that the settings choose."""
    return OverHttp(settings.CATALOG_URL) if settings.CATALOG_URL else InProcess()
