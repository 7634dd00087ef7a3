"""The inbox: what others announce is handled once, in order per key, in one transaction with its effect.

    INSTALLED_APPS += ["strangler.chassis.inbox"]

and in an application's handlers.py, which is found by itself:

    prices = Subscription("reporting.prices")

    @prices.on("catalog.product_price_changed", version=1)
    def remember_price_on_product_price_changed(event: Envelope) -> None: ...

`python manage.py consume_events` hands the events over, from RabbitMQ or from the publishers' outboxes.
"""

from strangler.chassis.inbox.bridge import CeleryBridge
from strangler.chassis.inbox.subscriptions import NotNow, Subscription

__all__ = ["CeleryBridge", "NotNow", "Subscription"]
