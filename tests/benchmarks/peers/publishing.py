"""What the peers are given to publish and to handle with."""

import os
from functools import cache

from django.db import connection, transaction
from jaiminho.send import save_to_outbox
from kombu import Connection, Exchange

DESTINATION = "/topic/rugs.price_changed"


@cache
def _producer():
    # jaiminho leaves the publishing to its user; each message confirmed, as it must be if none is to be lost.
    link = Connection(os.environ["PEER_AMQP"], transport_options={"confirm_publish": True})
    return link.Producer(exchange=Exchange("peers", "topic", durable=True), serializer="json")


@save_to_outbox
def publish(body):
    """jaiminho calls this for each event."""
    _producer().publish(body, routing_key="rugs.price_changed.v2", delivery_mode=2)


def handle(payload):
    """django-outbox-pattern calls this for each message."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO handled (n) VALUES (%s)", [payload.body["n"]])
        payload.save()
