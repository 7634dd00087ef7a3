"""What may write: a request by its method, a statement by its words.

Words are all that is looked at. What a SELECT of a function writes isn't seen.
"""

from __future__ import annotations

import re
from typing import Any

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")

_BEFORE = r"(?:\s|\(|--[^\n]*|/\*.*?\*/)*+"
_CHANGING = re.compile(_BEFORE + r"(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY)\b", re.IGNORECASE | re.DOTALL)
_WITH = re.compile(_BEFORE + r"WITH\b", re.IGNORECASE | re.DOTALL)
_CHANGING_INSIDE = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_CALLING = re.compile(_BEFORE + r"(?:CALL|DO|EXECUTE)\b", re.IGNORECASE | re.DOTALL)
_LOCKING = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|(?:KEY\s+)?SHARE)\b", re.IGNORECASE)


def changes_rows(sql: Any) -> bool:
    """Whether a statement is there to change rows; one that isn't text may be."""
    if not isinstance(sql, str) or _CHANGING.match(sql):
        return True
    return bool(_WITH.match(sql) and _CHANGING_INSIDE.search(_LOCKING.sub("", sql)))


def may_write(sql: Any) -> bool:
    """Whether a statement changes rows, or runs what may."""
    return changes_rows(sql) or bool(_CALLING.match(sql))


def only_locks(sql: Any) -> bool:
    """Whether a statement locks rows that it doesn't change: no trigger sees it."""
    return not may_write(sql) and bool(_LOCKING.search(sql))
