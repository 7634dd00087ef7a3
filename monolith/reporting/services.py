"""Writes of reporting that no event asks for."""

from __future__ import annotations

from django.db import connection, transaction

from .anticorruption import neighbours
from .models import KnownLine, KnownOrder, KnownPayment, KnownProduct, KnownSeller


@transaction.atomic
def rebuild_sales(*, copy: bool) -> None:
    """Forget all that was announced, and copy what the owners' rows say now if `copy`.

    The days that were summed up stay. Handlers wait meanwhile. An event that the copy knew of already is
    handled after it: it turns a row back, and the later events of its key bring it forward again.
    """
    known = (KnownPayment, KnownLine, KnownOrder, KnownProduct, KnownSeller)
    tables = ", ".join(model._meta.db_table for model in known)
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
    for model in known:
        model.objects.all().delete()
    if copy:
        neighbours.copy_history()
