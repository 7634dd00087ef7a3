"""A plain Celery application that hears of the shop's prices: no Django, no inbox, nothing of ours.

    celery --app tests.strangler.events.celery_app worker

Its tasks may be run twice and in any order, so what they do is keyed by the event, and a price is only ever
replaced by a later one. The table is the application's own:

    CREATE TABLE accounting_price (rug text PRIMARY KEY, n integer, sequence integer);
    CREATE TABLE accounting_entry (event_id text PRIMARY KEY, rug text, n integer);
"""

from __future__ import annotations

import os
import time
from typing import Any

import psycopg
from celery import Celery
from kombu import Exchange, Queue

PREFIX = os.environ.get("EVENTS_NAMESPACE", "")  # on a broker that several systems share

# The exchange is the publisher's to declare. A newer version of the event comes to the same task.
prices = Queue(
    f"{PREFIX}accounting.prices",
    Exchange(f"{PREFIX}events.tasks", type="topic", no_declare=True),
    routing_key="rugs.price_changed.*",
    queue_arguments={"x-queue-type": "quorum"},
)

app = Celery("accounting", broker=os.environ.get("BROKER_URL"))
app.conf.update(
    task_queues=[prices],
    task_ignore_result=True,
    # A task counts as done when it has returned, and comes again when its worker dies.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=4,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="rugs.price_changed")
def enter_price(event: dict[str, Any]) -> None:
    """`event` is the CloudEvent: id, source, type (with its version), partitionkey, sequence, time, data."""
    rug, n = event["partitionkey"], event["data"]["n"]
    time.sleep(float(os.environ.get("ACCOUNTING_SLOWNESS", "0")))
    with psycopg.connect(os.environ["ACCOUNTING_DATABASE_URL"]) as database:
        database.execute(
            "INSERT INTO accounting_entry VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", [event["id"], rug, n]
        )
        database.execute(
            """INSERT INTO accounting_price AS p VALUES (%s, %s, %s)
               ON CONFLICT (rug) DO UPDATE SET n = excluded.n, sequence = excluded.sequence
               WHERE p.sequence < excluded.sequence""",
            [rug, n, event["sequence"]],
        )
