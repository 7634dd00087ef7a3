"""`manage.py rebuild_sales`: forgets what was announced, and asks for all of it again."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from ...services import forget_sales


class Command(BaseCommand):
    help = "Build the sales anew, from the state of catalog, ordering and payments as they announce it now."

    def handle(self, *args: Any, **options: Any) -> None:
        forget_sales()
        self.stdout.write("What was known is forgotten. It comes back as events, which the consumer handles:")
        call_command("restate_events", everything=True, stdout=self.stdout)
