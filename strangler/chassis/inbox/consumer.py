"""The consumer: reads the subscriptions' queues and settles what comes, acknowledging it only afterwards.

One process serves any number of subscriptions, each on a channel of its own. What is settled stands in the
database before the broker hears of it, so a consumer that is killed in between gets it again and knows it.
A queue has one active consumer, and so only the home that owns the subscription's rows attaches to it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import amqp
from django.db import InterfaceError, OperationalError, connection

from strangler.chassis import broker, pulse
from strangler.chassis.envelope import Message, headers_of
from strangler.chassis.inbox.parking import settle
from strangler.chassis.inbox.receiving import Delivery, park, receive
from strangler.chassis.inbox.subscriptions import NotNow, Owned, Subscription, attempt

SETTLE_EVERY = 0.5  # seconds between two looks for parked events that may move
IDLE_AFTER = 0.5  # seconds of silence that `until_idle` takes for the end
PAUSE = 0.2  # seconds after something that may be over soon
TOGETHER = 50  # messages that are taken, and acknowledged, at a time; more where a batch is larger
AT_A_STRETCH = 0.2  # seconds for which one queue is settled before anything else gets its turn
logger = logging.getLogger(__name__)


@dataclass
class Intake:
    """What one queue has delivered and nobody has settled yet, in its order, each with its tag."""

    subscription: Subscription
    channel: Any
    dead: bool = False  # the queue of what was delivered too often
    waiting: list[tuple[int, Delivery]] = field(default_factory=list)

    def on_message(self, message: Any) -> None:
        headers = headers_of(message.properties.get("application_headers", {}))
        content_type = message.properties.get("content_type")
        body = bytes(message.body) if message.body else b""
        self.waiting.append((message.delivery_tag, Delivery.of(Message(headers, content_type, body))))

    def settle(self) -> None:
        """Settle what waits, batch by batch and for a moment at most, then acknowledge that together.

        An acknowledgement costs the broker as much as a message. Raises as `receive` does; nothing is lost.
        """
        until, settled = time.monotonic() + AT_A_STRETCH, 0
        try:
            while self.waiting and time.monotonic() < until:
                batch = self.waiting[: self.subscription.batch]
                self._settle([delivery for _, delivery in batch])
                settled, _ = batch[-1]
                del self.waiting[: len(batch)]
        finally:
            if settled:
                self.channel.basic_ack(settled, multiple=True)

    def _settle(self, batch: list[Delivery]) -> None:
        if not self.dead:
            receive(self.subscription, batch)
            return
        for one in batch:
            reason = f"delivered {broker.DELIVERY_LIMIT} times, and no consumer lived to settle it"
            park(self.subscription, one, "poison", one.reason or reason)


class Consumer:
    """One consumer process's work on some subscriptions."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._owned = Owned(subscriptions)
        self._stopping = False
        self._settled = 0.0

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping = True

    def run(self, *, until_idle: bool = False) -> None:
        """Consume until `stop`, or until nothing comes any more.

        A broker or database that goes away is waited for; with `until_idle` its error is raised.
        """
        pause = 0.1
        while not self._stopping:
            pulse.beat()
            try:
                subscriptions = self._owned.now()
                # What a closed connection hadn't settled goes back to its queue, for whoever owns by now.
                with broker.connected() as link:
                    intakes = [one for each in subscriptions for one in _open(link, each)]
                    pause = 0.1
                    if self._consume(link, intakes, until_idle):
                        return
            except (OSError, amqp.AMQPError, OperationalError, InterfaceError, NotNow) as error:
                connection.close()
                if until_idle:
                    raise
                logger.warning("the consumer lost %r; it tries again in %.1f s", error, pause)
                time.sleep(pause)
                pause = min(2.0, pause * 2)

    def _consume(self, link: Any, intakes: list[Intake], until_idle: bool) -> bool:
        """Until it is to end (True), or owns the rows of other subscriptions than it did (False)."""
        heard = time.monotonic()
        most = max([TOGETHER, *(one.subscription.batch for one in intakes)])
        while not self._stopping:
            pulse.beat()
            if self._owned.have_changed():
                return False
            if _gather(link, intakes, most):
                heard = time.monotonic()
            elif until_idle and time.monotonic() - heard > IDLE_AFTER:
                return True
            try:
                attempt([*(one.settle for one in intakes), *self._parked_to_settle()])
            except (NotNow, OperationalError, InterfaceError) as error:
                if until_idle:
                    raise
                logger.warning("not now: %r; it is tried again in %.1f s", error, PAUSE)
                connection.close()  # it may be the connection that is gone
                time.sleep(PAUSE)
        return True

    def _parked_to_settle(self) -> list[Callable[[], int]]:
        if time.monotonic() - self._settled < SETTLE_EVERY:
            return []
        self._settled = time.monotonic()
        return [partial(settle, one) for one in self._owned.known]


def declare(subscriptions: Iterable[Subscription]) -> None:
    """Declare the queues, so that what is announced before the first consumer starts waits in them."""
    with broker.connected() as link:
        channel = link.channel()
        for one in subscriptions:
            broker.declare_subscription(channel, one.name, one.types)


def _open(link: Any, subscription: Subscription) -> tuple[Intake, Intake]:
    channel, second = link.channel(), link.channel()
    queue, graveyard = broker.declare_subscription(channel, subscription.name, subscription.types)
    live, dead = Intake(subscription, channel), Intake(subscription, second, dead=True)
    for intake, name in ((dead, graveyard), (live, queue)):
        intake.channel.auto_decode = False  # a body is bytes, whatever encoding it names
        intake.channel.basic_qos(0, subscription.prefetch, False)
        intake.channel.basic_consume(name, callback=intake.on_message)
    return live, dead


def _gather(link: Any, intakes: list[Intake], most: int) -> bool:
    """Wait for a message, unless some wait already, and take what else is there, up to `most`."""
    if not intakes:
        time.sleep(min(SETTLE_EVERY, IDLE_AFTER) / 2)
        return False
    try:
        if not any(one.waiting for one in intakes):
            link.drain_events(timeout=min(SETTLE_EVERY, IDLE_AFTER) / 2)
        for _ in range(most - 1):
            link.drain_events(timeout=0.0005)
    except TimeoutError:
        pass
    return any(one.waiting for one in intakes)
