"""How far a copy has come, while it is waited for: a bar for each table on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import click

from strangler.control.surroundings import Progress

LINE_SECONDS = 2.0  # between two lines about one table


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows on stderr what it is told: objects with `table`, `rows` and `total`."""
    with ExitStack() as until_done:
        yield _bars(until_done) if sys.stderr.isatty() else _lines()


def _bars(until_done: ExitStack) -> Progress:
    tasks: dict[str, Any] = {}

    @cache
    def bar() -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
            TimeRemainingColumn(),
        )
        return until_done.enter_context(Progress(*columns, console=Console(stderr=True)))

    def tell(now: Any) -> None:
        if now.table not in tasks:
            tasks[now.table] = bar().add_task(now.table)
        bar().update(tasks[now.table], completed=now.rows, total=now.total)

    return tell


def _lines() -> Progress:
    said: dict[str, float] = {}

    def tell(now: Any) -> None:
        if now.rows >= now.total or time.monotonic() - said.get(now.table, 0) > LINE_SECONDS:
            said[now.table] = time.monotonic()
            click.echo(f"  {now.table}: {now.rows:,} of {now.total:,} rows", err=True)

    return tell
