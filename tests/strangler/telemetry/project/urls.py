"""What the shop answers."""

from __future__ import annotations

import logging

from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from strangler.chassis import outbox
from tests.strangler.events.project.events import RugPriceChanged

logger = logging.getLogger("rugs")


def price(request: HttpRequest, rug: str, n: int) -> HttpResponse:
    """A new price of a rug, and the announcement of it."""
    mood = request.GET.get("mood", "")
    with transaction.atomic(), connection.cursor() as cursor:
        ids = outbox.record(RugPriceChanged(rug=rug, n=n, mood=mood))
        cursor.execute("INSERT INTO rugs_change (rug, n, event_id) VALUES (%s, %s, %s)", [rug, n, ids[0]])
    logger.info("the price of %s is %d", rug, n)
    return JsonResponse({"event": ids[0], "traceparent": request.headers.get("traceparent")})


def seen(request: HttpRequest, secret: str) -> HttpResponse:
    """A page whose address, query and headers nobody should keep."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM rugs_seen WHERE rug = %s OR rug = 'garish-literal'", [secret])
    return HttpResponse("seen")


def broken(request: HttpRequest) -> HttpResponse:
    raise LookupError("ann@example.com isn't known")


urlpatterns = [
    path("rugs/<str:rug>/<int:n>/", price),
    path("seen/<str:secret>/", seen),
    path("broken/", broken),
]
application = get_wsgi_application()
