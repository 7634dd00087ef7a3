"""What the shop's page asks of the catalog, in its own words: the pages stay here when the catalog moves.

The setting CATALOG_URL chooses who is asked, as in ordering: the catalog's API at that
address, whichever home answers there, or the catalog's rows in this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from django.conf import settings
from django.core.paginator import Page, Paginator

from strangler.chassis.http_client import NoAnswer, get_json
from strangler.chassis.identity import ANONYMOUS, Caller

PAGE = 24  # cards; as many as a page of the catalog holds


class ShopClosed(Exception):
    """The catalog gives no answer that can be used."""


@dataclass(frozen=True)
class Shelf:
    """A shelf; `department` is the slug of the one that it stands in, its own if it stands alone."""

    slug: str
    name: str
    department: str

    @property
    def is_department(self) -> bool:
        return self.slug == self.department


@dataclass(frozen=True)
class Shop:
    """A seller's shop."""

    slug: str
    name: str
    description: str


@dataclass(frozen=True)
class Card:
    """A product as the shop shows it."""

    pk: int
    name: str
    shop: str
    shelf: str
    price: Decimal
    currency: str
    status: str
    in_stock: bool
    rating_average: Decimal | None
    rating_count: int

    @classmethod
    def of(cls, product: Mapping[str, Any]) -> Card:
        average = product["rating_average"]
        return cls(
            pk=product["id"],
            name=product["name"],
            shop=product["seller"]["name"],
            shelf=product["category"]["slug"],
            price=Decimal(product["price"]),
            currency=product["currency"],
            status=product["status"],
            in_stock=product["in_stock"],
            rating_average=None if average is None else Decimal(average),
            rating_count=product["rating_count"],
        )


@dataclass(frozen=True)
class Wanted:
    """What somebody looks for; "" means any. `page` counts from 1."""

    category: str = ""
    seller: str = ""
    text: str = ""
    ordering: str = ""
    page: int = 1


class Storefront(Protocol):
    """What the shop's page needs to know."""

    def list_shelves(self) -> list[Shelf]:
        """Every shelf."""

    def find_shop(self, slug: str) -> Shop | None:
        """The shop of that slug, or None."""

    def show(self, user: Any, wanted: Wanted) -> Page[Card]:
        """A page of what the user may see; the last one where there are fewer."""


class InProcess:
    """Reads the catalog's rows in the monolith's own database."""

    def list_shelves(self) -> list[Shelf]:
        from .catalog.selectors import list_categories

        return [
            Shelf(one.slug, one.name, one.parent.slug if one.parent else one.slug)
            for one in list_categories()
        ]

    def find_shop(self, slug: str) -> Shop | None:
        from .catalog.selectors import list_sellers

        found = list_sellers(slug=slug).first()
        return found and Shop(found.slug, found.name, found.description)

    def show(self, user: Any, wanted: Wanted) -> Page[Card]:
        from .catalog.selectors import list_products
        from .catalog.serializers import ProductSerializer

        words = {name: getattr(wanted, name) for name in ("category", "seller", "text", "ordering")}
        page = Paginator(list_products(caller_for(user), **words), PAGE).get_page(wanted.page)
        page.object_list = [Card.of(one) for one in ProductSerializer(page.object_list, many=True).data]
        return page


class OverHttp:
    """Asks the catalog's API; raises ShopClosed where it gives no answer that can be used."""

    def __init__(self, url: str) -> None:
        self._url = url

    def list_shelves(self) -> list[Shelf]:
        shelves = self._ask("/api/catalog/categories/")
        return [Shelf(one["slug"], one["name"], one["parent"] or one["slug"]) for one in shelves]

    def find_shop(self, slug: str) -> Shop | None:
        found = self._ask("/api/catalog/sellers/", params={"slug": slug})["results"]
        return Shop(found[0]["slug"], found[0]["name"], found[0]["description"]) if found else None

    def show(self, user: Any, wanted: Wanted) -> Page[Card]:
        caller, number = caller_for(user), wanted.page
        answer = self._page(caller, wanted, number)
        if answer is None:  # there are fewer pages
            number = Counted(self._page(caller, wanted, 1)["count"]).num_pages
            answer = self._page(caller, wanted, number)
        if answer is None:
            raise ShopClosed  # the last page went while it was asked for
        return Page([Card.of(one) for one in answer["results"]], number, Counted(answer["count"]))

    def _page(self, caller: Caller, wanted: Wanted, number: int) -> Any:
        params = {
            "category": wanted.category, "seller": wanted.seller, "q": wanted.text,
            "ordering": wanted.ordering, "page": "" if number == 1 else str(number),
        }  # fmt: skip
        asked = {name: word for name, word in params.items() if word}
        return self._ask("/api/catalog/products/", caller, asked, missing=number > 1)

    def _ask(
        self,
        path: str,
        caller: Caller = ANONYMOUS,
        params: Mapping[str, str] | None = None,
        *,
        missing: bool = False,
    ) -> Any:
        from .identity.services import token_for

        try:
            return get_json(self._url, path, token=token_for(caller), params=params, missing=missing)
        except NoAnswer as error:
            raise ShopClosed from error


class Counted(Paginator):
    """Pages of which only the count is known."""

    def __init__(self, count: int) -> None:
        super().__init__([], PAGE)
        self.count = count


def caller_for(user: Any) -> Caller:
    """The user as the catalog is to see them."""
    from .identity import services

    return services.caller_for(user)


def storefront() -> Storefront:
    """The adapter that the settings choose."""
    return OverHttp(settings.CATALOG_URL) if settings.CATALOG_URL else InProcess()
