"""What a request has done so far that can't be taken back: only one that has done nothing may be tried again.

Counted are commits, tasks handed to Celery, mails, and connections that were opened to others. A client that
keeps its connections open calls `reached_out` itself, as the chassis' own does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

_current: ContextVar[Footprint | None] = ContextVar("footprint", default=None)


@dataclass
class Footprint:
    """`lasting` names what can't be taken back; `fenced` is what a fence said, "" if none did.

    `moving`: the rows are on their way, so that the same request may be accepted in a moment.
    """

    lasting: list[str] = field(default_factory=list)
    fenced: str = ""
    moving: bool = True

    @property
    def clean(self) -> bool:
        """Nothing was done that a second try would do again."""
        return not self.lasting


@dataclass(frozen=True)
class _Commit:
    """Counts a transaction that has written once it has committed."""

    footprint: Footprint

    def __call__(self) -> None:
        self.footprint.lasting.append("a write was committed")


@contextmanager
def watched() -> Iterator[Footprint]:
    """The footprint of the block."""
    token = _current.set(footprint := Footprint())
    try:
        yield footprint
    finally:
        _current.reset(token)


def wrote(connection: BaseDatabaseWrapper) -> None:
    """A statement has written: it counts when, and if, its transaction commits."""
    if not (now := _current.get()):
        return
    if not connection.in_atomic_block:
        now.lasting.append("a write was committed")
    # What undoes the transaction, or the savepoint, that it was noted in takes the note away with it.
    elif not any(isinstance(one[1], _Commit) for one in connection.run_on_commit):
        transaction.on_commit(_Commit(now), using=connection.alias)


def reached_out(what: str) -> None:
    """Something has left this process: a call, a task, a mail."""
    if now := _current.get():
        now.lasting.append(what)


@contextmanager
def only_asking() -> Iterator[None]:
    """What leaves this process in the block changes nothing elsewhere, and so isn't counted."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def met_fence(said: str, *, moving: bool) -> None:
    """A fence has refused something in this request."""
    if now := _current.get():
        now.fenced, now.moving = said, moving


@cache  # a hook can't be taken away again
def begin() -> None:
    """Hear of what leaves this process, from now on."""
    sys.addaudithook(_on_audit)
    try:
        from celery.signals import before_task_publish
    except ImportError:
        return
    before_task_publish.connect(_on_task, weak=False, dispatch_uid="strangler.chassis.fence")


def _on_task(sender: Any = None, **_: Any) -> None:
    reached_out(f"the task {sender} was sent")


def _on_audit(event: str, arguments: tuple[Any, ...]) -> None:
    # Drivers written in C open their sockets unseen, so what is seen here is never the database's.
    if event == "socket.connect" and _current.get():
        reached_out(f"a connection to {arguments[1]} was opened")
