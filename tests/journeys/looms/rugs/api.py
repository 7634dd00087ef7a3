"""Weave a rug, change its price, look at it: a write is a rug, its knot and an event, or nothing."""

from __future__ import annotations

import json

from django.db import transaction
from django.http import HttpRequest, JsonResponse

from strangler.chassis import outbox

from .events import RugWoven
from .models import Knot, Rug


def rugs(request: HttpRequest) -> JsonResponse:
    number = json.loads(request.body)["number"]
    with transaction.atomic():
        rug = Rug.objects.create(number=number, note=f"rug {number}")
        Knot.objects.create(rug=rug)
        outbox.record(RugWoven(number))
    return JsonResponse({"id": rug.pk, "number": number}, status=201)


def rug(request: HttpRequest, number: int) -> JsonResponse:
    if request.method == "PATCH":
        with transaction.atomic():
            found = Rug.objects.select_for_update().get(number=number)
            found.price += 1
            found.save()
    else:
        found = Rug.objects.filter(number=number).first()
    return JsonResponse({"number": number, "price": str(found.price) if found else None})
