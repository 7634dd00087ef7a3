"""`python manage.py consume_events`: hands announced events to this home's subscriptions until stopped."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from strangler.chassis import broker, pulse
from strangler.chassis.inbox.consumer import Consumer, declare
from strangler.chassis.inbox.polling import Poller
from strangler.chassis.inbox.subscriptions import declared


class Command(BaseCommand):
    help = "Handle announced events: from the broker, or without one from the publishers' outboxes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("subscriptions", nargs="*", help="all that are declared, if none is named")
        parser.add_argument("--until-idle", action="store_true", help="end once nothing comes any more")
        parser.add_argument(
            "--declare", action="store_true", help="only make the queues, if there is a broker, and end"
        )

        parser.add_argument("--port", type=int, help="answer /health/live here, on this machine alone")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            subscriptions = declared(options["subscriptions"])
        except KeyError as error:
            known = ", ".join(one.name for one in declared()) or "none"
            raise CommandError(f"Nobody declares the subscription {error}; there are: {known}.") from None
        if not subscriptions:
            raise CommandError("No handlers.py declares a subscription, so there is nothing to consume.")
        if options["declare"]:
            if broker.url():
                declare(subscriptions)
            return
        publishers = getattr(settings, "EVENTS_PUBLISHERS", {})
        worker: Consumer | Poller
        if broker.url():
            worker, how = Consumer(subscriptions), "from the broker"
        elif publishers:
            worker, how = Poller(subscriptions, publishers), f"from the outboxes of {', '.join(publishers)}"
        else:
            raise CommandError(
                "Neither EVENTS_BROKER_URL nor EVENTS_PUBLISHERS is set, so no event can come. Name one."
            )
        if options["port"]:
            pulse.serve(options["port"])
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: worker.stop())
        if options["verbosity"]:
            self.stdout.write(f"consuming {', '.join(one.name for one in subscriptions)} {how}")
        worker.run(until_idle=options["until_idle"])
