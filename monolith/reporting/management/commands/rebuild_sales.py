"""`manage.py rebuild_sales`: forgets what was announced, and takes all of it in again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from ... import services


class Command(BaseCommand):
    help = "Build the sales anew: from the state of catalog, ordering and payments as they announce it now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--copy",
            action="store_true",
            help="at once and without events, while the owners' tables lie in the same database",
        )

    def handle(self, *args: Any, copy: bool, **options: Any) -> None:
        services.rebuild_sales(copy=copy)
        if copy:
            self.stdout.write("The sales are built anew from the owners' tables.")
            return
        self.stdout.write("What was known is forgotten. It comes back as events, which the consumer handles:")
        call_command("restate_events", everything=True, stdout=self.stdout)
