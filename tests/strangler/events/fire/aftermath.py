"""After the fire: the poisoned key is retried, edited and brought back in order, another is replayed."""

from __future__ import annotations

import json

from strangler.events.databases import Databases
from tests.strangler.events.conftest import Shop
from tests.strangler.events.delivering import seen
from tests.strangler.events.fire.verdict import Verdict, verdict
from tests.waiting import until

WITHIN = 60.0  # seconds, for each thing that an operator asks
DATA = "SELECT convert_from(body, 'UTF8') FROM strangler_inbox_parked WHERE event_id = %s"


def clear_up(publisher: Shop, subscriber: Shop) -> Verdict:
    """What `strangler events` does about the poisoned key; returns what is found when nothing is parked."""
    homes = Databases({"monolith": publisher.url, "catalog": subscriber.url})
    consumer = subscriber.start("consume_events", "--verbosity", "0")
    try:
        (first,) = homes.parked()  # one key, and no other
        assert (first.state, first.attempts, first.behind > 0) == ("poison", 1, True), first
        homes.mark("retry", first.event, None)
        until(lambda: homes.parked()[0].attempts == 2, within=WITHIN)
        (again,) = homes.parked()
        assert (again.event, again.state, again.behind) == (first.event, "poison", first.behind), again
        data = json.loads(subscriber.rows(DATA, first.event)[0][0])
        homes.mark("retry", first.event, None, json.dumps(data | {"mood": ""}))
        until(lambda: not homes.parked(), within=WITHIN)
        found = verdict(publisher.url, subscriber.url)
        once = seen(subscriber, "rug-1")
        assert homes.replay("rugs.prices", key="rug-1") == len(once) > 0
        until(lambda: seen(subscriber, "rug-1") == once * 2, within=WITHIN)
        return found
    finally:
        consumer.terminate()
        consumer.wait(20)
