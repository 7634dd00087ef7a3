"""Says of a table whether this home owns its rows, as the database believes."""

from __future__ import annotations

from django.db import connection

_KNOWN = "SELECT to_regclass('strangler_ownership.unit') IS NOT NULL"
_ELSEWHERE = (
    "SELECT name, other, advice FROM strangler_ownership.unit WHERE state <> 'owner' AND %s = ANY(tables)"
)


def elsewhere(table: str) -> str:
    """Where the rows of a table are, and what to do; "" while they are this home's own."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN)
        if cursor.fetchone() != (True,):
            return ""
        cursor.execute(_ELSEWHERE, [table])
        found = cursor.fetchone()
    if found is None:
        return ""
    name, other, advice = found
    return f"The rows of {name} belong to {other}, and are only followed here. {advice}"
