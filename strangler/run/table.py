"""The board as people see it: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from strangler.run.board import Board, Row
from strangler.run.system import System

COLOURS = {"running": "green", "failed": "red", "restarting": "yellow", "stopped": "dim", "waiting": "dim"}

MODES = {
    (
        "database",
        "embedded",
    ): "PostgreSQL is embedded: this can't prove how the move does on your server's version, "
    "settings and network. Name one in DATABASE_URL.",
    ("broker", "embedded"): "Celery's broker is files: a task can be lost, so this can't prove that none is. "
    "Name a RabbitMQ in BROKER_URL.",
    ("events", "embedded"): "Events take the embedded way, from the outbox straight to its subscribers: none "
    "is lost, and no broker is proven.",
    ("events", "named"): "Events go from the outbox by the RabbitMQ in BROKER_URL to their subscribers.",
}


def processes(seen: Board) -> Table:
    """One line for each process."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("process", "state", "health"):
        table.add_column(heading, no_wrap=True)
    table.add_column("port", justify="right", no_wrap=True)
    table.add_column("restarts", justify="right", no_wrap=True)
    table.add_column("url", overflow="fold")
    for row in seen.rows:
        table.add_row(
            row.name,
            Text(row.state, COLOURS.get(row.state, "cyan")),
            Text(row.health or "-", {"healthy": "green", "unhealthy": "red"}.get(row.health, "dim")),
            str(row.port or "-"),
            str(row.restarts),
            row.url or Text(row.note or "-", "dim"),
        )
    return table


def live(seen: Board) -> RenderableType:
    """The table while the system comes up."""
    return Group(Text(""), processes(seen), Text(""))


def up(seen: Board, system: System, commands: list[str], welcome: str = "") -> RenderableType:
    """The table of a system that is up, where to look, and what to try."""
    where = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    here = Text("clients come in here", "dim")
    if system.gateway not in system.homes.values():
        where.add_row("gateway", f"{system.gateway}/", here)
    for name, url in system.homes.items():
        direct = Text("a home, asked directly", "dim")
        where.add_row(name, f"{url}/", here if url == system.gateway else direct)
    if welcome:
        where.add_row("", welcome)
    where.add_row("logs", f"{system.state}/logs/", Text("one file each", "dim"))
    modes = [Text(sentence, "dim") for mode, sentence in MODES.items() if mode in system.modes.items()]
    tries = [Text(f"  {command}", "bold") for command in commands]
    return Group(
        Text(""), processes(seen), Text(""), where, Text(""), *modes, Text("\nTry:"), *tries, Text("")
    )


def console() -> Console:
    """Where tables go. A pipe has no width, and nothing should be cut there."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=160)


def as_values(seen: Board | None) -> dict[str, object]:
    """The board for `--json`."""
    rows: list[Row] = seen.rows if seen and seen.is_up else []
    return {
        "running": bool(seen and seen.is_up),
        "stage": seen.stage if seen and seen.is_up else None,
        "supervisor": seen.supervisor if seen and seen.is_up else None,
        "processes": [
            {
                "name": row.name,
                "state": row.state,
                "health": row.health or None,
                "port": row.port,
                "restarts": row.restarts,
                "url": row.url,
                "pid": row.pid,
            }
            for row in rows
        ],
    }
