"""What the tests of events say often."""

from __future__ import annotations

from tests.strangler.events.conftest import Shop


def deliver(publisher: Shop, subscriber: Shop) -> None:
    """Bring everything that was announced to the subscriber, whichever way these shops are connected."""
    if subscriber.environment["EVENTS_BROKER_URL"]:
        publisher("relay")
    assert subscriber("consume") == "idle"


def seen(subscriber: Shop, rug: str) -> list[int]:
    """The numbers of the prices of a rug that were handled, in that order."""
    rows = subscriber.rows("SELECT n FROM rugs_seen WHERE rug = %s ORDER BY position", rug)
    return [n for (n,) in rows]


def parked(subscriber: Shop) -> list[tuple[str, str]]:
    """Key and state of what is parked, in its order."""
    return subscriber.rows("SELECT key, state FROM strangler_inbox_parked ORDER BY position")
