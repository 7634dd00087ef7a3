"""`python manage.py relay_events`: publishes what the outbox has recorded, until it is stopped."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from strangler.chassis import broker, pulse
from strangler.chassis.outbox.relay import PARTITIONS, Relay

STOPS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = "Publish recorded events to the broker, in order per key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--until-idle", action="store_true", help="end once nothing is left to publish")
        parser.add_argument(
            "--most", type=int, default=PARTITIONS, help="partitions to lease at most, to share with others"
        )

        parser.add_argument(
            "--or-wait", action="store_true", help="without a broker, do nothing until stopped"
        )
        parser.add_argument("--port", type=int, help="answer /health/live here, on this machine alone")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["port"]:
            pulse.serve(options["port"])
        if not broker.url():
            why = (
                "EVENTS_BROKER_URL names no broker, so there is nothing to relay to: subscribers read the "
                "outbox themselves."
            )
            if not options["or_wait"]:
                raise CommandError(f"{why} Nothing was done.")
            # Blocked first: a signal that comes early waits for sigwait, and isn't lost.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
            self.stdout.write(f"{why} Waiting to be stopped.")
            while signal.sigtimedwait(STOPS, 1) is None:
                pulse.beat()
            return
        relay = Relay(most=options["most"])
        for one in STOPS:
            signal.signal(one, lambda *_: relay.stop())
        if options["verbosity"]:
            self.stdout.write("relaying recorded events")
        count = relay.run(until_idle=options["until_idle"])
        if options["verbosity"]:
            self.stdout.write(f"published: {count}")
