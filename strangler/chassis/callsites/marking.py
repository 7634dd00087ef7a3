"""Puts the comment into a statement: the contexts on the stack, innermost first, each with file and line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from strangler.chassis.writing import may_write, only_locks

_TABLES = re.compile(r"\b(?:FROM|JOIN)\s+\"?(\w+)\"?", re.IGNORECASE)
_INSTALLED = "SELECT to_regproc('strangler_recorder.note_lock') IS NOT NULL"
_NOTE = "SELECT strangler_recorder.note_lock(%s::text[], %s)"


def begin() -> None:
    """Mark the statements of every connection from now on."""
    connection_created.connect(_mark, dispatch_uid="strangler.chassis.callsites")
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _mark(connection=connection)


def comment() -> str:
    """Where the code that runs now stands, such as `/* strangler: catalog@services.py:40 ... */`; "" outside.

    Of each context only the innermost frame is named.
    """
    root = getattr(settings, "CALLSITES_ROOT", "") + "."  # no module's name begins with a dot alone
    found: dict[str, str] = {}
    frame = sys._getframe(1)
    while frame:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(root):
            context = module[len(root) :].partition(".")[0]
            if context not in found:
                found[context] = f"{context}@{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return f"/* strangler: {' '.join(found.values())} */" if found else ""


def _mark(connection: BaseDatabaseWrapper, **_: Any) -> None:
    marked = any(isinstance(one, _Marker) for one in connection.execute_wrappers)
    if connection.vendor == "postgresql" and not marked:
        connection.execute_wrappers.append(_Marker(connection))


class _Marker:
    """Sees every statement of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._recorded: bool | None = None

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not isinstance(sql, str):
            return execute(sql, params, many, context)
        if not may_write(sql):
            # No trigger fires for a lock, so it is noted from here.
            if only_locks(sql) and self._is_recorded() and (where := comment()):
                with self._connection.connection.cursor() as cursor:
                    cursor.execute(_NOTE, [_TABLES.findall(sql), where])
            return execute(sql, params, many, context)
        where = comment()
        return execute(f"{sql} {where}" if where else sql, params, many, context)

    def _is_recorded(self) -> bool:
        if not self._recorded:  # it may be installed while this connection is open
            with self._connection.connection.cursor() as cursor:
                self._recorded = cursor.execute(_INSTALLED).fetchone() == (True,)
        return self._recorded
