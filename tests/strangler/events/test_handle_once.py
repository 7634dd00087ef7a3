"""An event is announced with its change or not at all, and handled once, in the order of its key."""

from __future__ import annotations

import psycopg
import pytest

from tests.strangler.events.conftest import NAMESPACE, amqp
from tests.strangler.events.delivering import deliver, seen


def test_event_of_a_change_that_is_rolled_back_is_never_announced(shops):
    publisher, subscriber = shops
    publisher("announce", "rug-1", [1], fail=True)
    publisher("announce", "rug-1", [2])
    deliver(*shops)
    assert seen(subscriber, "rug-1") == [2]
    assert publisher.rows("SELECT count(*) FROM rugs_change") == [(1,)]


def test_event_outside_a_transaction_is_refused(embedded):
    publisher, _ = embedded
    assert "Nothing was recorded" in publisher("announce_outside", "rug-1")
    assert publisher.rows("SELECT count(*) FROM strangler_outbox_event") == [(0,)]


def test_order_of_a_key_is_kept_across_batches(shops):
    publisher, subscriber = shops
    for start in range(0, 120, 40):
        publisher("announce", "rug-1", list(range(start, start + 40)))
        publisher("announce", "rug-2", list(range(start, start + 40)))
    deliver(*shops)
    assert seen(subscriber, "rug-1") == seen(subscriber, "rug-2") == list(range(120))


@pytest.mark.parametrize("prices", [[1], [1, 2, 3]], ids=["alone", "in a batch"])
def test_redelivered_event_changes_nothing(brokered, prices):
    publisher, subscriber = brokered
    publisher("announce", "rug-1", prices)
    deliver(*brokered)
    publisher.rows("UPDATE strangler_outbox_event SET published_at = NULL")  # as if the relay had been killed
    assert publisher("relay") == len(prices)
    deliver(*brokered)
    assert seen(subscriber, "rug-1") == prices


def test_reading_an_outbox_from_the_beginning_changes_nothing(embedded):
    publisher, subscriber = embedded
    publisher("announce", "rug-1", [1, 2, 3])
    deliver(*embedded)
    subscriber.rows("DELETE FROM strangler_inbox_position")  # as if it hadn't been saved
    deliver(*embedded)
    assert seen(subscriber, "rug-1") == [1, 2, 3]


def test_event_that_commits_late_is_not_passed_over(embedded):
    """Its seq is lower than that of one which has been handled already."""
    publisher, subscriber = embedded
    copy = """
        INSERT INTO strangler_outbox_event (id, partition, key, key_seq, type, version, data, headers)
        SELECT gen_random_uuid(), partition, 'rug-late', 1, type, version, data,
               headers || '{"ce-partitionkey": "rug-late", "ce-id": "late"}'
        FROM strangler_outbox_event LIMIT 1
    """
    publisher("announce", "rug-1", [1])
    with psycopg.connect(publisher.url) as late:
        late.execute(copy)
        publisher("announce", "rug-1", [2])
        deliver(*embedded)
        assert (seen(subscriber, "rug-1"), seen(subscriber, "rug-late")) == ([1, 2], [])
        late.commit()
    deliver(*embedded)
    assert (seen(subscriber, "rug-1"), seen(subscriber, "rug-late")) == ([1, 2], [1])


def test_key_keeps_its_order_when_an_earlier_transaction_announces_later(embedded):
    """A takes its transaction id, B announces of the key and commits, then A announces of the same key.

    By transaction ids A would come first; a third, still running one, holds pg_snapshot_xmin back.
    """
    publisher, subscriber = embedded
    publisher("announce", "rug-0", [0])
    copy = """
        INSERT INTO strangler_outbox_event (id, partition, key, key_seq, type, version, data, headers)
        SELECT gen_random_uuid(), partition, 'rug-1', %(n)s, type, version,
               jsonb_set(data, '{n}', to_jsonb(%(n)s::int)),
               headers || jsonb_build_object('ce-partitionkey', 'rug-1', 'ce-id', 'n-' || %(n)s)
        FROM strangler_outbox_event WHERE key = 'rug-0'
    """
    with psycopg.connect(publisher.url) as a, psycopg.connect(publisher.url) as running:
        a.execute("SELECT pg_current_xact_id()")
        running.execute("SELECT pg_current_xact_id()")
        with psycopg.connect(publisher.url) as b:
            b.execute(copy, {"n": 1})
        a.execute(copy, {"n": 2})
        a.commit()
        deliver(*embedded)
    deliver(*embedded)
    assert seen(subscriber, "rug-1") == [1, 2]


def test_relay_that_is_second_waits_for_the_leases(brokered):
    publisher, _ = brokered
    publisher("announce", "rug-1", [1])
    with psycopg.connect(publisher.url) as other:
        other.execute("SELECT pg_advisory_lock(22434, n) FROM generate_series(0, 15) AS n")
        assert publisher("relay") == 0
    assert publisher("relay") == 1


def test_refused_key_waits_alone_and_in_order(brokered, broker_url):
    """The broker refuses one key's events: the others go on, and its own come later, in order."""
    publisher, subscriber = brokered
    full = f"{NAMESPACE}full"
    with amqp(broker_url) as channel:
        channel.queue_declare(full, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        channel.queue_bind(full, f"{NAMESPACE}events", "rugs.price_changed.v1")
        try:
            for n in (1, 2, 3, 4):
                publisher("announce", "rug-1", [n], kind="v1")
            publisher("announce", "rug-2", list(range(50)))
            published = publisher("relay")
            waiting = publisher.rows(
                "SELECT key, attempts, last_error FROM strangler_outbox_event "
                "WHERE published_at IS NULL ORDER BY seq"
            )
        finally:
            channel.queue_delete(full)
    assert published + len(waiting) == 54
    assert {key for key, _, _ in waiting} == {"rug-1"}
    # Only the first was refused; what comes after it in its key wasn't even sent.
    assert waiting[0][1:] == (1, "the broker refused it")
    assert {attempts for _, attempts, _ in waiting[1:]} == {0}
    publisher.rows("UPDATE strangler_outbox_event SET available_at = '-infinity'")
    deliver(*brokered)
    assert seen(subscriber, "rug-1") == [1, 2, 3, 4]
    assert seen(subscriber, "rug-2") == list(range(50))


def test_event_that_nobody_wants_goes_to_the_unrouted(brokered, broker_url):
    publisher, _ = brokered
    (event_id,) = publisher("announce_unheard", "rug-1")
    assert publisher("relay") == 1
    with amqp(broker_url) as channel:
        message = channel.basic_get(f"{NAMESPACE}events.unrouted", no_ack=True)
    assert message.properties["application_headers"]["ce-id"] == event_id


def test_announced_in_a_handler_belongs_to_the_same_trace(shops):
    publisher, subscriber = shops
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    publisher("announce", "rug-1", [1], traceparent=trace)
    deliver(*shops)
    assert subscriber.rows("SELECT traceparent FROM rugs_seen") == [(trace,)]


def test_older_version_is_brought_up_to_the_one_that_is_read(shops):
    publisher, subscriber = shops
    publisher("announce", "rug-1", [1], kind="v1")
    deliver(*shops)
    assert subscriber.rows("SELECT n, currency FROM rugs_seen") == [(1, "DEM")]


@pytest.mark.parametrize("command", ["relay_events", "consume_events"])
def test_who_starts_before_the_broker_waits_for_it(embedded, command):
    nobody = "amqp://guest:guest@127.0.0.1:9//"
    process = embedded[1].start(command, EVENTS_BROKER_URL=nobody)
    try:
        assert "tries again" in process.stderr.readline()
    finally:
        process.kill()
        process.communicate()
