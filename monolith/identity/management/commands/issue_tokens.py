"""`manage.py issue_tokens`: user ids on stdin, one token a line on stdout, for whoever replays requests."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from ...models import User
from ...services import issue_token

LIFETIME = 600  # seconds


class Command(BaseCommand):
    help = (
        "Read subjects (user ids) on stdin, one a line, and print a token for each, good for ten minutes. "
        "An empty line stands for nobody, and gives an empty line; so does a user who isn't there."
    )

    def handle(self, **options: Any) -> None:
        for line in sys.stdin:
            self.stdout.write(self._token(line.strip()))
            self.stdout.flush()

    def _token(self, subject: str) -> str:
        if not subject:
            return ""
        user = User.objects.filter(pk=subject, is_active=True).first() if subject.isdecimal() else None
        if user is None:
            self.stderr.write(f"There is no active user with the id {subject!r}; its line is empty.")
            return ""
        return issue_token(user, lifetime=LIFETIME)
