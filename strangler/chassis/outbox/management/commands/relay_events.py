"""`python manage.py relay_events`: publishes what the outbox has recorded, until it is stopped."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from strangler.chassis import broker
from strangler.chassis.outbox.relay import PARTITIONS, Relay


class Command(BaseCommand):
    help = "Publish recorded events to the broker, in order per key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--until-idle", action="store_true", help="end once nothing is left to publish")
        parser.add_argument(
            "--most", type=int, default=PARTITIONS, help="partitions to lease at most, to share with others"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not broker.url():
            raise CommandError(
                "EVENTS_BROKER_URL names no broker, so there is nothing to relay to: subscribers poll the "
                "outbox themselves. Nothing was done."
            )
        relay = Relay(most=options["most"])
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: relay.stop())
        self.stdout.write("relaying recorded events")
        count = relay.run(until_idle=options["until_idle"])
        self.stdout.write(f"published: {count}")
