"""A poison event parks itself and the later events of its key; everything else goes on."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys

import pytest

from strangler.chassis.inbox.subscriptions import NotNow, attempt
from tests.strangler.events.conftest import NAMESPACE, ROOT, amqp
from tests.strangler.events.delivering import deliver, parked, seen

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
REASON = "SELECT reason FROM strangler_inbox_parked ORDER BY position LIMIT 1"


def poison(publisher, rug: str = "rug-1", mood: str = "poison") -> str:
    (event_id,) = publisher("announce", rug, [1], mood=mood)
    return event_id


@contextlib.contextmanager
def raised_fence(shop, table: str):
    """Refuse writes of a table, in the words and with the code of an owner's raised fence."""
    shop.rows(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE 'rugs may not be written now' USING ERRCODE = 'STR01'; END $$"""
    )
    shop.rows(f"CREATE TRIGGER fence BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")
    yield
    shop.rows("DROP FUNCTION refuse CASCADE")


def message(body: object = None, **headers: str) -> list[object]:
    """A message from somebody else: headers, content type, body."""
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/elsewhere", "type": "rugs.price_changed.v2"}
    attributes |= {"partitionkey": "rug-1"} | headers
    text = body if isinstance(body, str) else json.dumps(body or {"rug": "rug-1", "n": 1, "currency": "EUR"})
    return [{f"ce-{name}": value for name, value in attributes.items() if value}, "application/json", text]


def test_poison_event_parks_its_own_key_alone(shops):
    publisher, subscriber = shops
    poison(publisher)
    publisher("announce", "rug-1", [2])
    publisher("announce", "rug-2", [1, 2])
    deliver(*shops)
    publisher("announce", "rug-1", [3])
    deliver(*shops)
    assert parked(subscriber) == [("rug-1", "poison"), ("rug-1", "behind"), ("rug-1", "behind")]
    assert (seen(subscriber, "rug-1"), seen(subscriber, "rug-2")) == ([], [1, 2])
    assert subscriber.rows(REASON) == [("ValueError: a rug can't be that garish",)]


def test_retried_event_takes_the_rest_of_its_key_along_in_order(shops):
    publisher, subscriber = shops
    poison(publisher)
    publisher("announce", "rug-1", [2, 3])
    deliver(*shops)
    subscriber.rows("INSERT INTO rugs_repaired DEFAULT VALUES")
    deliver(*shops)
    assert seen(subscriber, "rug-1") == [], "nothing moves before somebody says so"
    subscriber.rows("UPDATE strangler_inbox_parked SET state = 'retry' WHERE state = 'poison'")
    publisher("announce", "rug-1", [4])
    deliver(*shops)
    deliver(*shops)
    assert (seen(subscriber, "rug-1"), parked(subscriber)) == ([1, 2, 3, 4], [])


def test_retry_that_fails_again_leaves_the_key_parked(shops):
    publisher, subscriber = shops
    poison(publisher)
    publisher("announce", "rug-1", [2])
    deliver(*shops)
    subscriber.rows("UPDATE strangler_inbox_parked SET state = 'retry' WHERE state = 'poison'")
    deliver(*shops)
    assert parked(subscriber) == [("rug-1", "poison"), ("rug-1", "behind")]
    assert subscriber.rows("SELECT attempts FROM strangler_inbox_parked ORDER BY position") == [(2,), (1,)]
    assert seen(subscriber, "rug-1") == []


def test_skipped_event_has_no_effect_and_frees_its_key(shops):
    publisher, subscriber = shops
    event_id = poison(publisher)
    publisher("announce", "rug-1", [2])
    deliver(*shops)
    subscriber.rows("UPDATE strangler_inbox_parked SET state = 'skip' WHERE state = 'poison'")
    deliver(*shops)
    assert (seen(subscriber, "rug-1"), parked(subscriber)) == ([2], [])
    outcome = "SELECT outcome FROM strangler_inbox_received WHERE event_id = %s"
    assert subscriber.rows(outcome, event_id) == [("skipped",)]


def test_event_behind_a_fence_is_no_poison(embedded):
    publisher, subscriber = embedded
    poison(publisher, mood="fenced")
    publisher("announce", "rug-1", [2])
    assert subscriber("consume") == "the fence is up"
    assert (seen(subscriber, "rug-1"), parked(subscriber)) == ([], [])
    subscriber.rows("INSERT INTO rugs_repaired DEFAULT VALUES")
    deliver(*embedded)
    assert seen(subscriber, "rug-1") == [1, 2]


def test_what_cannot_be_handled_yet_is_tried_ever_less_often(embedded):
    publisher, subscriber = embedded
    poison(publisher, mood="fenced")
    with subprocess.Popen(
        [sys.executable, "-m", "django", "consume_events"], cwd=ROOT, env=subscriber.environment,
        stderr=subprocess.PIPE, text=True,
    ) as consuming:  # fmt: skip
        assert consuming.stderr
        said = (line for line in consuming.stderr if "the fence is up" in line)
        pauses = [re.search(r"again in ([0-9.]+) s", next(said))[1] for _ in range(5)]
        consuming.terminate()
    assert pauses == ["0.1", "0.2", "0.4", "0.8", "1.0"]


def test_retry_behind_a_fence_is_no_failure(embedded):
    publisher, subscriber = embedded
    poison(publisher)
    deliver(*embedded)
    subscriber.rows("UPDATE strangler_inbox_parked SET state = 'retry'")
    with raised_fence(subscriber, "rugs_seen"):
        assert "may not be written" in subscriber("consume")
    assert parked(subscriber) == [("rug-1", "retry")]
    assert subscriber.rows("SELECT attempts FROM strangler_inbox_parked") == [(1,)]
    subscriber.rows("INSERT INTO rugs_repaired DEFAULT VALUES")
    deliver(*embedded)
    assert (seen(subscriber, "rug-1"), parked(subscriber)) == ([1], [])


def test_subscription_behind_a_fence_holds_up_no_other():
    done: list[str] = []

    def fenced() -> None:
        raise NotNow("the fence is up")

    with pytest.raises(NotNow, match="the fence is up"):
        attempt([fenced, lambda: done.append("another's event")])
    assert done == ["another's event"]


def test_event_that_kills_its_consumer_is_parked_in_the_end(brokered, broker_url):
    publisher, subscriber = brokered
    event_id = poison(publisher, mood="deadly")
    publisher("relay")
    killed = subscriber.start("consume_events", "--until-idle")
    assert killed.wait(20) == -signal.SIGKILL
    with amqp(broker_url) as channel:  # as many more deaths, without the processes
        deaths = []

        def die(message) -> None:
            deaths.append(message.delivery_tag)
            channel.basic_reject(message.delivery_tag, requeue=True)

        channel.basic_consume(f"{NAMESPACE}rugs.prices", callback=die)
        while len(deaths) < 50:
            channel.connection.drain_events(timeout=20)
        with pytest.raises(TimeoutError):  # the broker has given it up
            channel.connection.drain_events(timeout=0.5)
    deliver(*brokered)
    assert subscriber.rows("SELECT event_id, state FROM strangler_inbox_parked") == [(event_id, "poison")]
    assert "no consumer lived" in subscriber.rows(REASON)[0][0]


def test_message_that_cannot_be_used_is_parked_once_and_whole(embedded):
    _, subscriber = embedded
    bad = message("not JSON")
    for _ in range(2):
        subscriber("receive", bad, message(id="e-2", partitionkey="rug-2"))
    rows = subscriber.rows("SELECT reason, headers, body FROM strangler_inbox_parked")
    assert [(reason, headers, bytes(body).decode()) for reason, headers, body in rows] == [
        ("Its data isn't a JSON object.", bad[0], bad[2])
    ]
    assert seen(subscriber, "rug-2") == [1]


def test_newer_version_from_the_broker_is_parked_until_its_handler_is_there(brokered):
    publisher, subscriber = brokered
    publisher("announce", "rug-1", [1], kind="v3")
    publisher("announce", "rug-1", [2])
    deliver(*brokered)
    assert parked(subscriber) == [("rug-1", "poison"), ("rug-1", "behind")]
    assert "reads up to 2" in subscriber.rows(REASON)[0][0]


def test_broken_trace_header_is_refused_and_the_event_handled(embedded):
    _, subscriber = embedded
    subscriber("receive", message(traceparent="00-nonsense"))
    assert subscriber.rows("SELECT n, traceparent FROM rugs_seen") == [(1, None)]
    note = "its trace header '00-nonsense' was refused"
    assert subscriber.rows("SELECT note FROM strangler_inbox_received") == [(note,)]


def test_structured_event_is_read_too(embedded):
    _, subscriber = embedded
    headers, _, body = message(traceparent=TRACE)
    whole = {name.removeprefix("ce-"): value for name, value in headers.items()} | {"data": json.loads(body)}
    subscriber("receive", [{}, "application/cloudevents+json", json.dumps(whole)])
    assert subscriber.rows("SELECT n, traceparent FROM rugs_seen") == [(1, TRACE)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"currency": "x" * 300_000}, "at most 262,144 may travel"),
        ({"currency": "\x00"}, "NUL character"),
        ({"rug": ""}, "a key is 1 to 200 printable characters"),
        ({"rug": "r" * 201}, "a key is 1 to 200 printable characters"),
    ],
    ids=["oversized", "NUL", "no key", "long key"],
)
def test_event_that_may_not_travel_is_refused_where_it_is_announced(embedded, bad, reason):
    publisher, _ = embedded
    said = publisher("announce", **({"rug": "rug-1", "numbers": [1]} | bad))
    assert reason in said
    assert "Nothing was recorded" in said
    assert publisher.rows("SELECT count(*) FROM strangler_outbox_event") == [(0,)]
