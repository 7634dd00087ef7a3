"""What the catalog asks of other contexts, in its own words.

Reads ask nothing: a product's counters and a review's author are kept in the catalog's own rows. What is left
is a question of its writes, put before their transaction begins.
"""

from __future__ import annotations

from typing import Protocol

from django.conf import settings

from strangler.chassis.http_client import NoAnswer, get_json
from strangler.chassis.identity import Caller

from .errors import OrderingAway


class Neighbours(Protocol):
    """What the catalog needs to know before it writes."""

    def has_bought(self, caller: Caller, product_id: int) -> bool:
        """Whether the caller has an order of the product that wasn't cancelled."""


class OverHttp:
    """Asks the neighbours' API, at the gateway, in the caller's name."""

    def has_bought(self, caller: Caller, product_id: int) -> bool:
        try:
            path = f"/api/ordering/purchases/{product_id}/"
            return bool(get_json(settings.NEIGHBOURS_URL, path, token=caller.token)["bought"])
        except (NoAnswer, KeyError, TypeError) as error:
            raise OrderingAway from error


neighbours: Neighbours = OverHttp()
