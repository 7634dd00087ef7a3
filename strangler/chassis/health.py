"""Whether a process lives, and whether it can serve: asked by the supervisor and the gateway.

`/health/live` answers as soon as the process runs; `/health/ready` when its database answers and is migrated,
and its views are loaded. Both tell the setting VERSION: which version it is that runs.
A middleware, and the first one: a probe carries no host name that anybody would allow, and opens no session.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import get_resolver

LIVE, READY = "/health/live", "/health/ready"


class HealthMiddleware:
    """Answers the two health paths; everything else goes on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._migrated = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == LIVE:
            return JsonResponse({"status": "live"} | _version())
        if request.path == READY:
            return self._ready()
        return self._get_response(request)

    def _ready(self) -> HttpResponse:
        try:
            lacks = self._what_it_lacks()
        except Error:
            lacks = "The database doesn't answer."
        if lacks:
            return JsonResponse({"status": "not ready", "detail": lacks} | _version(), status=503)
        return JsonResponse({"status": "ready"} | _version())

    def _what_it_lacks(self) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not self._migrated:
            executor = MigrationExecutor(connection)
            waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if waiting:
                return f"{len(waiting)} migrations are waiting; run `migrate`."
            # Or the first clients would wait until every view is imported, and find out if one can't be.
            _ = get_resolver().url_patterns
            # Migrations aren't taken away from a running process: one look is enough.
            self._migrated = True
        return ""


def _version() -> dict[str, str]:
    version = getattr(settings, "VERSION", "")
    return {"version": version} if version else {}
