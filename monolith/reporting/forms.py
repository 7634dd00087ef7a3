"""Which days a report is about."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms
from django.utils import timezone


class DaysForm(forms.Form):
    """From one day to another, both included; the last thirty days where nothing is said."""

    since = forms.DateField(label="From", required=False, widget=forms.DateInput({"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput({"type": "date"}))

    def clean(self) -> dict[str, Any]:
        asked = super().clean()
        until = asked.get("until") or timezone.now().date()
        since = asked.get("since") or until - min(datetime.timedelta(days=29), until - datetime.date.min)
        if since > until:
            self.add_error("until", "The last day lies before the first.")
        return {"since": since, "until": until}
