"""Writes of reporting that no event asks for."""

from __future__ import annotations

from django.db import transaction

from .models import KnownLine, KnownOrder, KnownPayment, KnownProduct, KnownSeller


@transaction.atomic
def forget_sales() -> None:
    """Forget all that was announced; the days that were summed up stay."""
    for model in (KnownPayment, KnownLine, KnownOrder, KnownProduct, KnownSeller):
        model.objects.all().delete()
