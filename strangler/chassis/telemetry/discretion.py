"""What a span may tell: names, kinds and numbers. What it may not: what people typed, and who they are.

Nothing passes but what is named here: a library's next version may write down more than today's. Paths are
not here, since they can hold secrets (a link to set a password); routes are.
"""

from __future__ import annotations

ALLOWED = frozenset(
    {
        "celery.action",
        "celery.state",
        "celery.task_name",
        "db.collection.name",
        "db.operation.name",
        "db.system.name",
        "error",
        "error.type",
        "exception.type",
        "http.method",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "http.status_code",
        "messaging.consumer.group.name",
        "messaging.message.id",
        "messaging.operation.type",
        "response_flags",
        "server.address",
        "server.port",
        "strangler.capability",
        "strangler.event.type",
        "strangler.home",
        "strangler.request.id",
        "strangler.route",
        "upstream_cluster.name",
    }
)
# Envoy's own names, in ours.
RENAMED = {"guid:x-request-id": "strangler.request.id", "upstream_address": "server.address"}


def allowed(name: str) -> str | None:
    """The name under which an attribute may pass; None if it may not."""
    name = RENAMED.get(name, name)
    return name if name in ALLOWED else None
