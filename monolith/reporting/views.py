"""The report's page, for admins."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ..identity.models import Role
from .forms import DaysForm
from .selectors import list_sales


@require_safe
@login_required
def sales(request: HttpRequest) -> HttpResponse:
    """What each seller has sold in some days."""
    if request.user.role != Role.ADMIN:
        raise PermissionDenied("Reports are for admins.")
    form = DaysForm(request.GET)
    rows = list_sales(**form.cleaned_data) if form.is_valid() else []
    totals = {name: sum(row[name] for row in rows) for name in ("pieces", "gross", "discount", "captured")}
    return render(request, "reporting/sales.html", {"form": form, "rows": rows, "totals": totals})
