"""`python manage.py restate_events`: announces rows that were there before anybody listened."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import autodiscover_modules

from strangler.chassis.outbox import restating


class Command(BaseCommand):
    help = "Announce how things stand: rows of which nobody has been told yet, such as bulk loads; or all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", help="such as catalog.product; all, if none is named")
        parser.add_argument(
            "--all",
            action="store_true",
            dest="everything",
            help="those that were announced, too: subscribers write them anew",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        autodiscover_modules("events")
        try:
            wanted = list(restating.declared(options["names"]))
        except KeyError as error:
            known = ", ".join(one.name for one in restating.declared()) or "none"
            raise CommandError(f"Nobody restates {error}; there are: {known}. Nothing was done.") from None
        if not wanted:
            raise CommandError("No events.py says how rows are restated. Nothing was done.")
        for one in wanted:
            self.stdout.write(f"{one.name}: {one.run(everything=options['everything']):,} announced")
