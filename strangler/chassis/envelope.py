"""An event on the wire: a CloudEvent in RabbitMQ's binary mode, the same with and without a broker.

A publisher announces objects of its own classes (`Announcement`); a subscriber gets an `Envelope`. Between
them there are headers and a JSON body, which `write` and `read` translate. `partitionkey` and `sequence` are
CloudEvents' documented extensions: events of one key are handled in order, and `sequence` counts them.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event, to_binary_event
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.v1.event import CloudEvent
from django.core.serializers.json import DjangoJSONEncoder

from strangler.chassis import trace
from strangler.chassis.required import required

MAX_BYTES = 256 * 1024  # of an event's data; what is larger belongs in a store, with its address in the event
MAX_NAME = 200  # characters of an id, a key or a type
JSON_TYPE = "application/json"
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")
_COUNT = re.compile(r"[0-9]{1,18}")
_REQUIRED = {"id", "source", "specversion", "type"}
_TYPE = re.compile(r"(?P<name>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*){1,2})\.v(?P<version>[1-9]\d{0,3})")

Message = RabbitMQMessage  # headers, content_type, body


class Announcement(Protocol):
    """What a publisher's event class offers: a frozen dataclass whose fields are the event's data.

    `type` is the wire type, `context.event.vN` or `context.aggregate.event.vN`; `key` names what the event is
    about, such as "product-7": events of one key are handled in order.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    type: ClassVar[str]

    @property
    def key(self) -> str: ...


class EventRefused(ValueError):
    """The event can't be announced as it is; nothing was recorded. The transaction's fate is the caller's."""


class NotAnEvent(ValueError):
    """The message can't be read as an event; the message says why."""


@dataclass(frozen=True)
class Envelope:
    """One event as it arrived. `type` has no version in it; `version` is a whole number from 1.

    `note` says what was wrong with the envelope without making the event unusable.
    """

    id: str
    source: str
    type: str
    version: int
    key: str
    data: dict[str, Any]
    sequence: int | None = None
    time: datetime | None = None
    traceparent: str | None = None
    note: str = ""


def write(event: Announcement, *, traceparent: str | None = None) -> tuple[Envelope, Message]:
    """The event with a new id, and its message, which lacks `ce-sequence` until the outbox has counted it.

    A broken `traceparent` is left out, as W3C Trace Context wants it. Raises EventRefused.
    """
    match = _TYPE.fullmatch(event.type)
    if not match or len(event.type) > MAX_NAME:
        raise EventRefused(
            f"{event.type[:MAX_NAME]!r} isn't a wire type: context.event.vN or context.aggregate.event.vN, "
            f"in lower case, {MAX_NAME} characters at most. Nothing was recorded."
        )
    if not _is_name(event.key):
        raise EventRefused(
            f"{event.type} has the key {event.key[:MAX_NAME]!r}; a key is 1 to {MAX_NAME} printable "
            "characters. Nothing was recorded."
        )
    try:
        body = json.dumps(dataclasses.asdict(event), cls=DjangoJSONEncoder).encode()
    except RecursionError:
        raise EventRefused(
            f"{event.type} of {event.key} has data that is nested too deeply. Nothing was recorded."
        ) from None
    if len(body) > MAX_BYTES:
        raise EventRefused(
            f"{event.type} of {event.key} has {len(body):,} bytes of data; at most {MAX_BYTES:,} may travel. "
            "Nothing was recorded. Announce where the rest can be read instead."
        )
    if b"\\u0000" in body:
        raise EventRefused(
            f"{event.type} of {event.key} has a NUL character in its data. Nothing was recorded."
        )
    context = match["name"].partition(".")[0]
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        # Of the context, not of the home: it stays the same when the context moves.
        "source": f"/{required('EVENTS_SOURCE')}/{context}",
        "type": event.type,
        "time": datetime.now(UTC),
        "datacontenttype": JSON_TYPE,
        "partitionkey": event.key,
    }
    if traceparent and trace.is_valid(traceparent):
        attributes["traceparent"] = traceparent
    try:
        message = to_binary_event(CloudEvent(attributes, body))
    except BaseCloudEventException as error:
        raise EventRefused(f"{event.type} of {event.key}: {error} Nothing was recorded.") from error
    return read(message), message


def read(message: Message) -> Envelope:
    """The event in a message, binary or structured. Raises NotAnEvent with the reason."""
    size = len(message.body)
    if size > MAX_BYTES * 2:  # a structured body carries the attributes too
        raise NotAnEvent(f"It is oversized: {size:,} bytes, where {MAX_BYTES:,} of data may travel.")
    content_type = (message.content_type or JSON_TYPE).partition(";")[0].strip().lower()
    if not _JSON.fullmatch(content_type):
        raise NotAnEvent(f"Its content type {content_type[:80]!r} isn't JSON.")
    try:
        missing = sorted(_REQUIRED - _names(message))
        if missing:  # the library would make them up, and a redelivered event would be another one
            raise NotAnEvent(f"It is no CloudEvent: it lacks {', '.join(missing)}.")
        event = from_rabbitmq_event(message)
    except NotAnEvent:
        raise
    except BaseCloudEventException as error:
        raise NotAnEvent(f"It is no CloudEvent: {error}") from error
    except RecursionError:
        raise NotAnEvent("It is nested too deeply to be read.") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise NotAnEvent(f"It can't be read as a CloudEvent: {error!r}.") from error
    match = _TYPE.fullmatch(event.get_type())
    if not match:
        raise NotAnEvent(f"Its type {event.get_type()[:MAX_NAME]!r} doesn't read context.event.vN.")
    key = event.get_extension("partitionkey") or event.get_subject() or event.get_id()
    for what, name in (("id", event.get_id()), ("partitionkey", key)):
        if not _is_name(name):
            raise NotAnEvent(f"Its {what} {str(name)[:80]!r} isn't 1 to {MAX_NAME} printable characters.")
    data = event.get_data()
    if isinstance(data, bytes | str):  # the library hands over what isn't JSON as it came
        data = _parsed(data)
    if not isinstance(data, dict):
        raise NotAnEvent("Its data isn't a JSON object.")
    traceparent, note = event.get_extension("traceparent"), ""
    if traceparent is not None and not trace.is_valid(str(traceparent)):
        traceparent, note = None, f"its trace header {str(traceparent)[:80]!r} was refused"
    sequence = str(event.get_extension("sequence") or "")
    return Envelope(
        id=event.get_id(),
        source=event.get_source(),
        type=match["name"],
        version=int(match["version"]),
        key=key,
        data=data,
        sequence=int(sequence) if _COUNT.fullmatch(sequence) else None,
        time=event.get_time(),
        traceparent=traceparent,
        note=note,
    )


def headers_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """The CloudEvents headers among a broker's headers, as texts."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in raw.items()
        if name.lower().startswith("ce-")
    }


def recorded_headers(text: str) -> dict[str, str]:
    """The CloudEvents headers that an outbox holds as JSON; none where they are no readable object."""
    try:
        raw = json.loads(text)
    except RecursionError:
        raw = None
    return headers_of(raw) if isinstance(raw, dict) else {}


def _is_name(text: Any) -> bool:
    """Whether this can stand in a header, a table's key and an operator's terminal."""
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME and text.isprintable()


def _names(message: Message) -> set[str]:
    """The attributes that a message names."""
    if (message.content_type or "").lower().startswith("application/cloudevents"):
        return {str(name) for name in json.loads(message.body)}
    return {name.lower().removeprefix("ce-") for name in message.headers}


def _parsed(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
