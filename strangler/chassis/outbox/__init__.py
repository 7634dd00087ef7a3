"""The outbox: what happened is recorded in the transaction in which it happened, and announced after it.

    INSTALLED_APPS += ["strangler.chassis.outbox"]

    with transaction.atomic():
        product.save()
        outbox.record(ProductPriceChanged(product.pk, product.price))

`python manage.py relay_events` publishes what is recorded to RabbitMQ; without one, subscribers read it here.
`python manage.py restate_events` tells them of rows that were there before anything was announced.
"""

from strangler.chassis.outbox.recording import OutsideTransaction, hold, record
from strangler.chassis.outbox.restating import restates

__all__ = ["OutsideTransaction", "hold", "record", "restates"]
