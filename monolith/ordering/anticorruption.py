"""What ordering asks of the catalog, in its own words: one protocol, answered in process or over HTTP.

The setting CATALOG_URL chooses: with an address, usually the gateway's, the catalog's API is asked there,
whichever home answers for it; without one, the catalog's rows are read in this process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from django.conf import settings
from django.contrib.contenttypes.models import ContentType

from strangler.chassis.http_client import NoAnswer, get_json
from strangler.chassis.identity import ANONYMOUS, Caller

from .errors import CatalogAway

# Ordering asks for carts in its own name: a cart must be able to say that something is no longer offered,
# which the catalog shows to few.
ORDERING = Caller("ordering", "support")
AT_ONCE = 24  # ids in one question; a page of the catalog holds no more


@dataclass(frozen=True)
class Article:
    """Something that can be ordered. `card` is how the catalog shows it, passed on to clients unread."""

    id: int
    sku: str
    name: str
    price: Decimal
    currency: str
    is_offered: bool
    in_stock: bool
    sold_by: str
    shelf: str
    card: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Article:
        return cls(
            id=card["id"],
            sku=card["sku"],
            name=card["name"],
            price=Decimal(card["price"]),
            currency=card["currency"],
            is_offered=card["status"] == "active",
            in_stock=card["in_stock"],
            sold_by=card["seller"]["name"],
            shelf=card["category"]["slug"],
            card=card,
        )


class Catalog(Protocol):
    """What ordering needs to know about what is for sale."""

    def get_article(self, user: Any, article: int) -> Article | None:
        """An article that the user may see, or None."""

    def list_articles(self, articles: Collection[int]) -> list[Article]:
        """Those of the articles that are there, offered or not, by their ids."""

    def get_departments(self) -> dict[str, str]:
        """For every shelf's slug that of the department that it stands in, its own if it is one."""


class InProcess:
    """Reads the catalog's rows in the monolith's own database."""

    def get_article(self, user: Any, article: int) -> Article | None:
        from ..catalog.models import Product
        from ..catalog.selectors import get_product

        try:
            return self._article(get_product(caller_for(user), article))
        except Product.DoesNotExist:
            return None

    def list_articles(self, articles: Collection[int]) -> list[Article]:
        from ..catalog.selectors import list_products

        return [self._article(product) for product in list_products(ORDERING, ids=articles)]

    def get_departments(self) -> dict[str, str]:
        from ..catalog.selectors import list_categories

        return {one.slug: one.parent.slug if one.parent else one.slug for one in list_categories()}

    def _article(self, product: Any) -> Article:
        from ..catalog.serializers import ProductSerializer

        return Article.of(ProductSerializer(product).data)


class OverHttp:
    """Asks the catalog's API; raises CatalogAway where it gives no answer that can be used."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get_article(self, user: Any, article: int) -> Article | None:
        answer = self._ask(f"/api/catalog/products/{article}/", caller_for(user), missing=True)
        return None if answer is None else Article.of(answer)

    def list_articles(self, articles: Collection[int]) -> list[Article]:
        found: list[Article] = []
        for ids in in_parts(sorted(articles)):
            wanted = ",".join(map(str, ids))
            answer = self._ask("/api/catalog/products/", ORDERING, params={"ids": wanted})
            found += map(Article.of, answer["results"])
        return found

    def get_departments(self) -> dict[str, str]:
        shelves = self._ask("/api/catalog/categories/", ANONYMOUS)
        return {shelf["slug"]: shelf["parent"] or shelf["slug"] for shelf in shelves}

    def _ask(
        self, path: str, caller: Caller, *, params: dict[str, str] | None = None, missing: bool = False
    ) -> Any:
        from ..identity.services import token_for

        try:
            return get_json(self._url, path, token=token_for(caller), params=params, missing=missing)
        except NoAnswer as error:
            raise CatalogAway from error


def in_parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def caller_for(user: Any) -> Caller:
    """The user as the catalog is to see them."""
    from ..identity import services

    return services.caller_for(user)


def catalog() -> Catalog:
    """The adapter that the settings choose."""
    return OverHttp(settings.CATALOG_URL) if settings.CATALOG_URL else InProcess()


def user_or_nobody(user: int) -> int | None:
    """The id of somebody who has an account still; None for anybody else."""
    from ..identity.models import User

    return User.objects.filter(pk=user).values_list("pk", flat=True).first()


def catalog_row(kind: str) -> ContentType:
    """What a row of the catalog is called in the audit trail."""
    return ContentType.objects.get_by_natural_key("catalog", kind)
