"""`strangler copy`: a capability's rows to its new home, and the proof that both sides are equal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from strangler import config as project
from strangler.config import Capability
from strangler.movement.backfill import CopyReport, Progress, backfill, copied
from strangler.movement.sides import sides
from strangler.movement.verification import CopyState

WAYS = {
    "equal": "was equal",
    "filled": "filled",
    "resumed": "resumed",
    "levelled": "levelled",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("capability")
@click.option(
    "--restart", is_flag=True, help="Compare every row instead of going on where a copy was stopped."
)
@click.option("--verify-only", is_flag=True, help="Copy nothing; say whether both sides are equal.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def copy(root: Path, capability: str, restart: bool, verify_only: bool, as_json: bool) -> None:
    """Copy a capability's tables from the owner's database to its new home's, and verify them.

    It can be stopped at any moment: the next run goes on. Run on a finished copy, it brings the new home
    up to date and deletes there what the owner no longer has. Exits with 1 if the two sides aren't equal.
    """
    from strangler.run.session import running_system

    config = project.load(root)
    moved = config.capability(capability)
    with running_system(config, quiet=as_json) as system:
        source, target = sides(config, moved, system)
        report = None if verify_only else _copy(source, target, moved, restart, as_json)
        state = copied(source, target, moved.tables)
    if as_json:
        click.echo(json.dumps(_as_json(moved, report, state), indent=2))
    else:
        _print(report, state)
    if not state.equal:
        sys.exit(1)


def _copy(source: str, target: str, capability: Capability, restart: bool, quiet: bool) -> CopyReport:
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    ) as bar:
        tasks = {name: bar.add_task(name, start=False, visible=False) for name in capability.tables}

        def show(now: Progress) -> None:
            bar.start_task(tasks[now.table])  # its own time counts, not that of the tables before it
            bar.update(tasks[now.table], completed=now.rows, total=now.total, visible=True)

        return backfill(source, target, capability.tables, progress=show, restart=restart)


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        speed = task.speed or (task.completed / task.elapsed if task.elapsed else None)
        return Text(f"{speed:,.0f} rows/s" if speed else "", style="progress.data.speed")


def _print(report: CopyReport | None, state: CopyState) -> None:
    outcomes = {table.name: table for table in report.tables} if report else {}
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("table", "owner", "follower", "equal", *(["", "written", "deleted"] if report else [])):
        rows = heading in ("owner", "follower", "written", "deleted")
        table.add_column(heading, no_wrap=True, justify="right" if rows else "left")
    for one in state.tables:
        cells = [one.name, *(f"{side.rows:,}" if side else "unread" for side in (one.owner, one.follower))]
        cells.append("[green]yes[/]" if one.equal else "[red]no[/]")
        if outcome := outcomes.get(one.name):
            written = f"{outcome.written:,}"
            if outcome.replaced:
                written += f" ({outcome.replaced:,} in place of others)"
            cells += [WAYS[outcome.way], written, f"{outcome.deleted:,}"]
        table.add_row(*cells)
    console = Console()
    console.print(table)
    if report and report.written:
        console.print(
            f"{report.written:,} rows in {report.seconds:.1f} s; foreign keys put back: "
            f"{report.foreign_keys}, sequences moved: {report.sequences}.",
            highlight=False,
        )
    console.print(state.reason, style=None if state.equal else "red", highlight=False)


def _as_json(capability: Capability, report: CopyReport | None, state: CopyState) -> dict[str, Any]:
    return {
        "capability": capability.name,
        "equal": state.equal,
        "complete": state.complete,
        "reason": state.reason,
        "tables": [{**asdict(table), "equal": table.equal} for table in state.tables],
        "copy": asdict(report) if report else None,
    }
