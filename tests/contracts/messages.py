"""Messages, by their descriptions in consumers' pacts: each comes about by the publisher's own use case.

The use case runs in a transaction that is taken back, and what it recorded in the outbox is the message: the
publisher's event class, the chassis' envelope, and the moment at which it is announced.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from strangler.chassis.identity import Caller
from tests.contexts.catalog.rows import a_category, a_person, model

MESSAGES: dict[str, tuple[str, Callable[[Any, Caller], Any]]] = {
    "the catalog's word that a product was entered": (
        "catalog.product_entered.v1",
        lambda services, caller: services.enter_product(caller=caller, **_new_product()),
    ),
    "the catalog's word that a product has another name": (
        "catalog.product_changed.v1",
        lambda services, caller: services.change_product(
            caller=caller, product=_product(), name="Garish Runner"
        ),
    ),
    "the catalog's word that a product has another price": (
        "catalog.product_price_changed.v1",
        lambda services, caller: services.change_product(caller=caller, product=_product(), price="9.90"),
    ),
    "the catalog's word that a product is gone": (
        "catalog.product_deleted.v1",
        lambda services, caller: services.delete_product(caller=caller, product=_product()),
    ),
}


def message(description: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the headers of a message. LookupError for one that nobody knows."""
    if description not in MESSAGES:
        raise LookupError(f"nobody announces {description!r}; tests/contracts/messages.py lists what is said")
    wire_type, use_case = MESSAGES[description]
    services = import_module(f"{apps.get_app_config('catalog').name}.services")
    with transaction.atomic():
        use_case(services, Caller(str(a_person("admin", "admin")), "admin"))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT data, headers FROM strangler_outbox_event WHERE headers ->> 'ce-type' = %s "
                "ORDER BY seq DESC LIMIT 1",
                [wire_type],
            )
            row = cursor.fetchone()
        transaction.set_rollback(True)
    if row is None:
        raise LookupError(f"the use case announced no {wire_type}")
    data, headers = (json.loads(one) if isinstance(one, str) else one for one in row)
    return data, headers


def _product() -> Any:
    return model("Product").objects.get(pk=7)


def _new_product() -> dict[str, Any]:
    seller = model("Seller").objects.get()
    return {
        "seller": seller, "category": a_category(), "sku": "HUMBLE-RUG", "name": "Humble Rug",
        "price": "12.50", "weight": "0.500", "currency": "EUR",
    }  # fmt: skip
