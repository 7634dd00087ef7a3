"""What a home listens to, declared in code: a name, the types with their handlers, and the upcasters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from strangler.chassis.envelope import Envelope
from strangler.chassis.ownership import Beliefs

Handler = Callable[[Envelope], None]
Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]

OWNED_ASKED = 1.0  # seconds between two questions whose rows this home owns

_declared: dict[str, Subscription] = {}


class NotNow(Exception):
    """Raised by a handler that can't work yet, as behind a raised fence: tried again, never parked."""


class Poison(Exception):
    """The event can't be handled as it is; the message says why."""


class DeclaredTwice(ValueError):
    """Two subscriptions have one name, or two handlers one type."""


@dataclass(frozen=True)
class Subscription:
    """One listener with a queue, an inbox and an order of its own.

    Its name begins with the context whose rows its handlers write, as `catalog.stock`: where such rows move,
    it is consumed by whichever home owns them, and its inbox moves along.

    `batch` is how many events at most are handled in one transaction: 1 for handlers that call others, more
    for those that only write rows. `prefetch` is how many the broker sends ahead.
    """

    name: str
    batch: int = 50
    prefetch: int = 500
    _handlers: dict[str, tuple[int, Handler]] = field(default_factory=dict, init=False, repr=False)
    _upcasters: dict[tuple[str, int], Upcaster] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.name in _declared:
            raise DeclaredTwice(f"There are two subscriptions {self.name!r}; each needs a name of its own.")
        _declared[self.name] = self

    @property
    def types(self) -> tuple[str, ...]:
        """The types that it listens to, without versions."""
        return tuple(sorted(self._handlers))

    def on(self, type: str, *, version: int) -> Callable[[Handler], Handler]:
        """Let a function handle a type; `version` is the one that it reads."""
        if type in self._handlers:
            raise DeclaredTwice(f"{self.name} has two handlers for {type!r}; one of them has to go.")

        def declare(handler: Handler) -> Handler:
            self._handlers[type] = version, handler
            return handler

        return declare

    def upcast(self, type: str, *, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Let a function turn the data of a version into that of the next one."""

        def declare(upcaster: Upcaster) -> Upcaster:
            self._upcasters[type, from_version] = upcaster
            return upcaster

        return declare

    def handle(self, event: Envelope) -> None:
        """Bring an event to the version that the handler reads, and hand it over; Poison if it can't be."""
        if event.type not in self._handlers:
            raise Poison(
                f"{self.name} knows no type {event.type!r}; it handles {', '.join(self.types) or 'none'}."
            )
        version, handler = self._handlers[event.type]
        if event.version > version:
            raise Poison(
                f"It has version {event.version} of {event.type}, and {self.name} reads up to {version}. "
                "Deploy a handler that reads it, then retry."
            )
        while event.version < version:
            upcaster = self._upcasters.get((event.type, event.version))
            if upcaster is None:
                raise Poison(
                    f"It has version {event.version} of {event.type}, {self.name} reads {version}, and no "
                    f"upcaster leads from {event.version} to {event.version + 1}."
                )
            event = replace(event, version=event.version + 1, data=dict(upcaster(event.data)))
        handler(event)


class Owned:
    """Those of the subscriptions whose rows this home owns; `known` is how it was when last asked."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._all = list(subscriptions)
        self._beliefs = Beliefs()
        self._asked = 0.0
        self.known: list[Subscription] = []

    def now(self) -> list[Subscription]:
        """Ask the database."""
        self._asked = time.monotonic()
        self.known = [one for one in self._all if self._beliefs.owns_context(one.name)]
        return self.known

    def have_changed(self) -> bool:
        """Ask once a second at most; whether they are others than before."""
        if time.monotonic() - self._asked < OWNED_ASKED:
            return False
        before = self.known
        return self.now() != before


def attempt(works: Iterable[Callable[[], Any]]) -> list[Any]:
    """Do all works, so that a subscription behind a fence holds up no other; returns what they returned.

    Raises the first NotNow afterwards.
    """
    returned, reasons = [], []
    for work in works:
        try:
            returned.append(work())
        except NotNow as reason:
            reasons.append(reason)
    if reasons:
        raise reasons[0]
    return returned


def declared(names: list[str] | None = None) -> list[Subscription]:
    """The declared subscriptions, or those of the given names; KeyError for one that nobody declared."""
    return [_declared[name] for name in names] if names else list(_declared.values())
