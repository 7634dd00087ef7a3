"""What shouldn't have been sent at all is parked with its reason, and everything else goes on.

One table for both ways. By the broker a message is published straight to the exchange; without one, a row is
written straight into the outbox, and what a row can't hold the database refuses there and then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import psycopg
from amqp import Message

from strangler.events.databases import Databases
from tests.strangler.events.conftest import NAMESPACE, Shop, amqp
from tests.strangler.events.delivering import deliver, parked, seen

JSON = "application/json"
GOOD = {"rug": "rug-bad", "n": 1, "currency": "EUR"}
ATTRIBUTES = {
    "specversion": "1.0", "id": "bad", "source": "/elsewhere", "type": "rugs.price_changed.v2",
    "partitionkey": "rug-bad",
}  # fmt: skip
DEEP = 20_000


@dataclass(frozen=True)
class Bad:
    """A message, and the reason that it is parked for; `refused` if the outbox's table can't hold it."""

    name: str
    reason: str
    body: Any = field(default_factory=lambda: GOOD)
    changed: dict[str, Any] = field(default_factory=dict)  # attributes; None takes one away
    content_type: str | None = JSON
    encoding: str | None = None
    headers: Any = None  # in place of all attributes
    refused: bool = False
    broker_only: bool = False  # an outbox's row has no such thing

    @property
    def all_headers(self) -> Any:
        """Of every message a key and an id of its own, unless that is what is bad about it."""
        if self.headers is not None:
            return self.headers
        own = {"id": self.name, "partitionkey": self.name, "case": self.name}
        every = ATTRIBUTES | own | self.changed
        return {f"ce-{name}": value for name, value in every.items() if value is not None}

    @property
    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


TABLE = [
    Bad("no CloudEvent", "it lacks id, source, specversion, type", headers={}),
    Bad("no id", "it lacks id", changed={"id": None}),
    Bad("empty id", "'id' must not be None or empty", changed={"id": ""}),
    Bad("no source", "it lacks source", changed={"source": None}),
    Bad("no type", "it lacks type", changed={"type": None}),
    Bad("another specversion", "It is no CloudEvent", changed={"specversion": "7.0"}),
    Bad("a type that isn't one", "doesn't read context.event.vN", changed={"type": "PriceChanged"}),
    Bad("an unknown type", "knows no type 'rugs.beaten'", changed={"type": "rugs.beaten.v1"}),
    Bad("a newer version", "It has version 3 of rugs", changed={"type": "rugs.price_changed.v3"}),
    Bad("a time that is none", "It can't be read as a CloudEvent", changed={"time": "yesterday"}),
    Bad("an endless sequence", "handled", changed={"sequence": "9" * 5000}),
    Bad("a broken trace header", "handled", changed={"traceparent": "00-nonsense"}),
    Bad("an endless trace header", "handled",
        changed={"traceparent": f"01-{'a' * 32}-{'b' * 16}-01-" + "x" * 9999}),
    Bad("NUL in the id", "Its id", changed={"id": "bad\0"}, refused=True),
    Bad("NUL in the key", "Its partitionkey", changed={"partitionkey": "rug\0"}, refused=True),
    Bad("NUL in another header", "handled", changed={"comment": "\0"}, refused=True),
    Bad("an endless key", "Its partitionkey", changed={"partitionkey": "r" * 5000}),
    Bad("an endless id", "Its id", changed={"id": "i" * 5000}),
    Bad("numbers in headers", "Its type '7'", changed={"id": 7, "type": 7}),
    Bad("NUL in its data", "DataError", GOOD | {"currency": "a\0b"}, refused=True),
    Bad("half a character", "UnicodeEncodeError",
        '{"rug": "rug-bad", "n": 1, "currency": "\\ud800"}', refused=True),
    Bad("a number out of range", "integer out of range", GOOD | {"n": 10**30}),
    Bad("data without what is needed", "KeyError", {"rug": "rug-bad"}),
    Bad("a list", "Its data isn't a JSON object", [GOOD]),
    Bad("null", "Its data isn't a JSON object", "null"),
    Bad("invalid JSON", "Its data isn't", '{"rug": ', refused=True),
    Bad("no JSON at all", "Its data isn't", b"\x00\xff\xfe hello", refused=True),
    Bad("no body", "Its data isn't", b"", refused=True),
    Bad("oversized", "It is oversized", GOOD | {"currency": "x" * 600_000}),
    Bad("a nesting bomb", "nested too deeply", "[" * DEEP + "]" * DEEP, refused=True),
    Bad("a smaller nesting bomb", "nested too deeply", '{"a":' * 2000 + "1" + "}" * 2000),
    Bad("XML", "Its content type 'application/xml' isn't JSON", b"<n>1</n>", content_type="application/xml",
        broker_only=True),
    Bad("JSON called text", "Its content type 'text/plain' isn't JSON", content_type="text/plain",
        broker_only=True),
    Bad("another encoding", "Its data isn't", b"\\ud800", encoding="unicode_escape", broker_only=True),
    Bad("compressed", "Its data isn't", b"\x1f\x8b\x08", encoding="gzip", broker_only=True),
    Bad("half an event, structured", "It can't be read as a CloudEvent", '{"id": "bad-1"',
        content_type="application/cloudevents+json", headers={}, broker_only=True),
    Bad("NUL in a structured id", "Its id", ATTRIBUTES | {"id": "\0", "data": GOOD},
        content_type="application/cloudevents+json", headers={}, broker_only=True),
    Bad("a structured nesting bomb", "nested too deeply", "[" * DEEP, headers={},
        content_type="application/cloudevents+json", broker_only=True),
    Bad("a list of events", "it lacks id", [ATTRIBUTES], headers={},
        content_type="application/cloudevents-batch+json", broker_only=True),
    Bad("headers that are a list", "it lacks id", headers=["ce-id"]),
    Bad("headers that are a nesting bomb", "it lacks id", headers=json.loads("[" * 900 + "]" * 900)),
]  # fmt: skip

BROKERED = [one for one in TABLE if not isinstance(one.headers, list)]
EMBEDDED = [one for one in TABLE if not one.broker_only]


def publish(channel: Any, bad: Bad) -> None:
    """Straight to the exchange, as somebody who isn't the relay."""
    given = {
        "content_type": bad.content_type, "content_encoding": bad.encoding,
        "application_headers": bad.all_headers,
    }  # fmt: skip
    message = Message(bad.bytes, **{name: value for name, value in given.items() if value is not None})
    channel.basic_publish_confirm(message, f"{NAMESPACE}events", "rugs.price_changed.v2")


def write(publisher: Shop, bad: Bad, number: int) -> bool:
    """Straight into the outbox; False if its table refuses."""
    try:
        publisher.rows(
            """INSERT INTO strangler_outbox_event (id, partition, key, key_seq, type, version, data, headers)
               VALUES (gen_random_uuid(), 0, 'rug-bad', %s, 'rugs.price_changed', 2,
                       convert_from(%s, 'UTF8')::jsonb, %s::jsonb)""",
            number, bad.bytes, json.dumps(bad.all_headers),
        )  # fmt: skip
    except (psycopg.DataError, psycopg.OperationalError):
        return False
    return True


def check(shops: tuple[Shop, Shop], parked: dict[Any, str], wanted: dict[Any, Bad]) -> None:
    """Each one is handled, or parked for its reason, alone in its key and visibly; the rest went on."""
    publisher, subscriber = shops
    reasons = {one.name: one.reason for one in wanted.values() if one.reason != "handled"}
    found = {wanted[mark].name: reason for mark, reason in parked.items()}
    assert found.keys() == reasons.keys()
    assert {name: reason for name, reason in found.items() if reasons[name] not in reason} == {}
    homes = Databases({"monolith": publisher.url, "catalog": subscriber.url})
    named = homes.parked()
    assert sorted(one.reason for one in named) == sorted(found.values()), "what an operator is shown"
    assert {(one.state, one.behind) for one in named} == {("poison", 0)}
    handled = [(one.name,) for one in wanted.values() if one.reason == "handled"]
    assert subscriber.rows("SELECT rug FROM rugs_seen WHERE rug !~ '^rug-[12]$' ORDER BY position") == handled
    count = len(wanted)
    assert (seen(subscriber, "rug-1"), seen(subscriber, "rug-2")) == (list(range(count)), [1])


def test_what_should_not_have_been_published_is_parked_and_everything_else_goes_on(brokered, broker_url):
    publisher, subscriber = brokered
    wanted = {one.name if one.headers is None else one.bytes: one for one in BROKERED}
    with amqp(broker_url) as channel:
        for number, bad in enumerate(BROKERED):
            publisher("announce", "rug-1", [number])
            publisher("relay")
            publish(channel, bad)
    publisher("announce", "rug-2", [1])
    deliver(*brokered)
    rows = subscriber.rows("SELECT headers ->> 'ce-case', body, reason FROM strangler_inbox_parked")
    assert all(bytes(body) == wanted[case or bytes(body)].bytes for case, body, _ in rows), "parked whole"
    check(brokered, {case or bytes(body): reason for case, body, reason in rows}, wanted)


def test_what_should_not_have_been_recorded_is_refused_or_parked_and_everything_else_goes_on(embedded):
    publisher, subscriber = embedded
    wanted: dict[str, Bad] = {}
    for number, bad in enumerate(EMBEDDED):
        assert write(publisher, bad, number) is not bad.refused, bad.name
        if not bad.refused:
            publisher("announce", "rug-1", [len(wanted)])
            wanted[str(number)] = bad
    publisher("announce", "rug-2", [1])
    deliver(*embedded)
    rows = subscriber.rows("SELECT headers ->> 'ce-sequence', reason FROM strangler_inbox_parked")
    check(embedded, dict(rows), wanted)


def test_relay_sends_what_it_can_not_read_on_to_be_parked(brokered):
    publisher, subscriber = brokered
    for number, bad in enumerate(one for one in TABLE if isinstance(one.headers, list)):
        assert write(publisher, bad, number)
    publisher("announce", "rug-1", [1])
    deliver(*brokered)
    assert seen(subscriber, "rug-1") == [1]
    assert [state for _, state in parked(subscriber)] == ["poison", "poison"]
