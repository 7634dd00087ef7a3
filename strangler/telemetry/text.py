"""A trace in the terminal: a tree, bars on one axis of time, and what came of each span."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from strangler.telemetry.store import Listed
from strangler.telemetry.waterfall import Row, Waterfall, said, title

BAR = 40  # characters
COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")


def waterfall(shown: Waterfall) -> RenderableType:
    """The whole trace; `━` on the critical path, `─` beside it."""
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(shown.processes)}
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("span", no_wrap=True, overflow="ellipsis")
    table.add_column("process", no_wrap=True)
    table.add_column(_axis(shown.duration), no_wrap=True, min_width=BAR)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in shown.rows:
        name = Text("  " * row.depth + title(row.span))
        if row.orphan:
            name.append("  (its parent isn't kept)", "dim")
        colour = colours[row.span.process]
        table.add_row(
            name,
            Text(row.span.process, colour),
            Text(_bar(row, shown.duration), "red" if row.span.failed else colour),
            f"{row.duration:,.1f}",
            Text(said(row.span), "red" if row.span.failed else "dim"),
        )
    summary = (
        f"trace {shown.trace}  {_moment(shown.start)}  {shown.duration:,.1f} ms  "
        f"{len(shown.rows)} spans of {', '.join(shown.processes)}"
    )
    end = Text("━ what the end waited for   ─ what went on beside it", "dim")
    if shown.failed:
        end.append(f"   {shown.failed} failed", "red")
    return Group(Text(summary, "bold"), table, end)


def listing(traces: Sequence[Listed]) -> RenderableType:
    """One line for each trace."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("trace", "began"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ms", "spans", "processes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True, overflow="ellipsis")
    for one in traces:
        what = Text(one.name)
        if one.failed:
            what.append(f"  {one.failed} failed", "red")
        duration = f"{one.duration / 1e6:,.1f}"
        table.add_row(one.trace, _moment(one.start), duration, str(one.spans), str(one.processes), what)
    return table


def _bar(row: Row, whole: float) -> str:
    """The span's place on the axis; the shortest is one character."""
    scale = BAR / whole if whole else 0
    first = min(int(row.offset * scale), BAR - 1)
    width = max(1, min(round(row.duration * scale), BAR - first))
    return (" " * first + ("━" if row.critical else "─") * width).ljust(BAR)


def _axis(whole: float) -> str:
    end = f"{whole:,.1f} ms"
    return "0" + end.rjust(BAR - 1)


def _moment(ns: int) -> str:
    return f"{datetime.datetime.fromtimestamp(ns / 1e9, datetime.UTC):%Y-%m-%d %H:%M:%S}"
