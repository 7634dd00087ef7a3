"""Thousands of events while relay and consumer are killed: every effect exactly once, in order per key."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time

EVENTS, KEYS, WRITERS, KILLS = 3000, 200, 4, 4
SETTLED_WITHIN = 40.0  # seconds
ORDER = "SELECT {key}, array_agg(event_id ORDER BY position) FROM {table} GROUP BY 1"


def test_every_effect_happens_once_and_in_order_though_processes_are_killed(shops):
    publisher, subscriber = shops
    starts = [lambda: subscriber.start("consume_events", "--verbosity", "0")]
    if subscriber.environment["EVENTS_BROKER_URL"]:
        starts.append(lambda: publisher.start("relay_events", "--verbosity", "0"))
    running = [start() for start in starts]
    writer = subprocess.Popen(
        [sys.executable, "-c", f"from tests.strangler.events.project import shell; shell.django.setup(); "
         f"shell.announce_many({EVENTS}, {KEYS}, {WRITERS})"],
        env=publisher.environment,
    )  # fmt: skip
    chance = random.Random(7)
    try:
        for number, _ in itertools.product(range(len(starts)), range(KILLS)):
            time.sleep(0.7 + chance.random())
            running[number].send_signal(signal.SIGKILL)
            running[number].wait(10)
            running[number] = starts[number]()
        assert writer.wait(60) == 0
        deadline = time.monotonic() + SETTLED_WITHIN
        while subscriber.rows("SELECT count(*) FROM rugs_seen")[0][0] < EVENTS:
            assert time.monotonic() < deadline, subscriber.rows("SELECT count(*) FROM rugs_seen")
            time.sleep(0.2)
        time.sleep(0.5)  # what would come twice, would come now
    finally:
        for one in (*running, writer):
            one.terminate()
            one.wait(10)
    assert subscriber.rows("SELECT count(*), count(DISTINCT event_id) FROM rugs_seen") == [(EVENTS, EVENTS)]
    committed = dict(publisher.rows(ORDER.format(key="rug", table="rugs_change")))
    handled = dict(subscriber.rows(ORDER.format(key="rug", table="rugs_seen")))
    assert len(committed) == KEYS
    assert handled == committed
    assert subscriber.rows("SELECT count(*) FROM strangler_inbox_parked") == [(0,)]
