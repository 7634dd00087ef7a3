"""One trial of a peer in its own environment; prints figures as JSON.

python trial.py jaiminho | outbox_pattern EVENTS LATENCIES
"""

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

os.environ["DJANGO_SETTINGS_MODULE"] = "peer_settings"
BODY = {"rug": "rug-1", "currency": "EUR", "mood": ""}


def rows(statement, *values):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def record(events, first=0):
    from django.db import transaction
    from django_outbox_pattern.models import Published
    from publishing import DESTINATION

    with transaction.atomic():
        for n in range(first, first + events):
            Published.objects.create(body=BODY | {"n": n}, destination=DESTINATION)


@contextmanager
def running(*command):
    process = subprocess.Popen([sys.executable, "-m", "django", *command], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def until(count):
    deadline = time.monotonic() + 120
    while rows("SELECT count(*) FROM handled")[0][0] < count:
        if time.monotonic() > deadline:
            sys.exit(
                f"only {rows('SELECT count(*) FROM handled')[0][0]} of {count} were handled in two minutes"
            )
        time.sleep(0.1)


def outbox_pattern(events, latencies):
    """Relay and end to end by its own commands; recorded to handled at 20 a second."""
    from publishing import DESTINATION

    rows("CREATE TABLE handled (n integer, at timestamptz DEFAULT clock_timestamp())")
    with running("subscribe", "publishing.handle", DESTINATION, "handled"):
        time.sleep(3)  # its queue is there only once it has subscribed
        record(events)
        with running("publish"):
            began = time.perf_counter()
            while rows("SELECT count(*) FROM published WHERE status = 1")[0][0]:
                time.sleep(0.01)
            relayed = time.perf_counter() - began
            until(events)
            (took,) = rows("SELECT extract(epoch FROM max(at) - min(at))::float8 FROM handled")[0]
            for n in range(events, events + latencies):
                record(1, n)
                time.sleep(0.05)
            until(events + latencies)
    waited = [
        ms
        for (ms,) in rows(
            "SELECT extract(epoch FROM at - added)::float8 * 1000 FROM handled JOIN published "
            "ON (body ->> 'n')::int = n WHERE n >= %s ORDER BY 1",
            events,
        )
    ]
    p99 = waited[int(len(waited) * 0.99)]
    return {"relay": events / relayed, "handled": events / took, "p50": statistics.median(waited), "p99": p99}


def jaiminho(events, latencies):
    """Its relay, with each message confirmed; it has no consumer."""
    from django.db import transaction
    from jaiminho.relayer import EventRelayer
    from publishing import publish

    with transaction.atomic():
        for n in range(events):
            publish(BODY | {"n": n})
    began = time.perf_counter()
    EventRelayer().relay()
    took = time.perf_counter() - began
    left = rows("SELECT count(*) FROM jaiminho_event WHERE sent_at IS NULL")[0][0]
    return {"relay": (events - left) / took}


if __name__ == "__main__":
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(json.dumps(globals()[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))))
