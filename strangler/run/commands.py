"""The verbs that run things: run, ps, logs, stop, doctor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import rich_click as click
from rich.console import Console, RenderableType
from rich.live import Live

from strangler import config as configuration
from strangler.config import Config
from strangler.errors import StranglerError, UsageError
from strangler.run import board, session, table
from strangler.run import doctor as checks
from strangler.run.board import Board
from strangler.run.system import STATE_DIRECTORY, System

POLL = 0.5  # seconds between two looks while the system is up
INTERRUPTED = 130


class OtherPort(StranglerError):
    """The system already runs, and its gateway is on another port than the one asked for."""


@click.command(
    help="Start everything on this machine, and give the tour: a capability moves, and comes back."
)
@click.option(
    "--exit", "leave", is_flag=True, help="End after the tour; exit 0 only if nothing failed or differed."
)
@click.option("--no-tour", is_flag=True, help="Only start.")
@click.option("--detach", is_flag=True, help="Leave it running in the background (implies --no-tour).")
@click.option("--port", type=click.IntRange(1, 65535), help="The gateway's port; refused if it is taken.")
@click.pass_obj
def run(root: Path, leave: bool, no_tour: bool, detach: bool, port: int | None) -> None:
    config = configuration.load(root)
    console = table.console()
    if leave and (no_tour or detach):
        raise UsageError("--exit ends after the tour, and this asks for none. Nothing was started.")
    if found := session.find(config):
        _already_up(config, found, console, port, leave)
    elif detach:
        _start_detached(config, console, port)
    else:
        sys.exit(_run_here(config, console, port, leave, no_tour))


@click.command(help="Show what runs: state, health, port, restarts, URL.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def ps(root: Path, as_json: bool) -> None:
    config = configuration.load(root)
    seen = _board(config)
    if as_json:
        click.echo(json.dumps(table.as_values(seen), indent=2))
    elif seen and seen.is_up:
        table.console().print(table.processes(seen))
    else:
        click.echo("Nothing runs here. `strangler run` starts everything.")


@click.command(help="Stop the running system, in order.")
@click.pass_obj
def stop(root: Path) -> None:
    config = configuration.load(root)
    click.echo("Stopped." if session.stop(config.root) else "Nothing runs here.")


@click.command(help="Say what this machine lacks, and what to do about it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(root: Path, as_json: bool) -> None:
    config = configuration.load(root)
    findings = checks.examine(config, os.environ)
    if as_json:
        click.echo(json.dumps([finding.as_values() for finding in findings], indent=2))
    else:
        table.console().print(checks.render(findings))
    sys.exit(1 if any(finding.is_missing for finding in findings) else 0)


def _already_up(config: Config, found: System, console: Console, port: int | None, leave: bool) -> None:
    if port and not found.gateway.endswith(f":{port}"):
        raise OtherPort(f"It already runs, at {found.gateway}, and stays there. `strangler stop` first.")
    console.print("It already runs.")
    if leave and config.reads:
        sys.exit(0 if _tour(config, found, console) else 1)
    _show_up(config, found, console)


def _start_detached(config: Config, console: Console, port: int | None) -> None:
    child = session.launch(config, port=port)
    with _watching(console) as watch:
        try:
            found = session.wait_until_ready(config, child, watch)
        except BaseException:
            session.stop_child(child)
            raise
    _show_up(config, found, console)
    console.print("It stays up; `strangler stop` ends it.")


def _run_here(config: Config, console: Console, port: int | None, leave: bool, no_tour: bool) -> int:
    """Start, give the tour, stay up until Ctrl-C; returns the exit code."""
    is_up = False
    with contextlib.ExitStack() as stack:
        # SIGINT too: a shell without job control starts its background jobs with it ignored.
        for order in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(order, _interrupt)
        try:
            with _watching(console) as watch:
                running = stack.enter_context(session.started(config, port=port, watch=watch))
            toured = not no_tour and bool(config.reads)
            if toured:
                passed = _tour(config, running, console)
            elif not no_tour:
                passed = True
                console.print("No capability that reads is declared, so there is nothing to tour.")
            if leave:
                return 0 if passed else 1
            is_up = True
            return _stay(config, running, console, moved=toured)
        except KeyboardInterrupt:
            console.print("\nStopping in order…")
            return 0 if is_up else INTERRUPTED


def _tour(config: Config, running: System, console: Console) -> bool:
    tour: Callable[..., Any] = import_module("strangler.run.tour").tour
    return bool(tour(config, running, console).ok)


def _stay(config: Config, running: System, console: Console, moved: bool) -> int:
    """Keep the table on a terminal, or say what changes, until the supervisor is gone."""
    seen, try_these = _board(config), to_try(config, moved)
    if not console.is_terminal:
        _show_up(config, running, console, moved)
    console.print("Everything is up. Ctrl-C stops it.")
    with _watching(console, lambda now: table.up(now, running, try_these, config.welcome), seen) as watch:
        while seen and seen.is_up:
            watch(seen)
            time.sleep(POLL)
            seen = _board(config)
    if seen and seen.stage == "stopped":
        console.print("It was stopped from elsewhere.")
        return 0
    log = config.root / STATE_DIRECTORY / "logs" / "supervisor.log"
    raise StranglerError(f"The supervisor was killed, and all that it had started ended with it. See {log}.")


@contextlib.contextmanager
def _watching(
    console: Console, render: Callable[[Board], RenderableType] = table.live, from_now: Board | None = None
) -> Iterator[session.Watch]:
    """What `render` makes of the board on a terminal; elsewhere a line for each change after `from_now`."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=from_now is None) as screen:
            yield lambda seen: screen.update(render(seen))
        return
    lines: list[str] = []
    watch = session.progress(lines.append)
    if from_now:
        watch(from_now)  # its table has just been printed
        lines.clear()

    def show(seen: Board) -> None:
        watch(seen)
        for line in lines:
            console.print(line, markup=False)
        lines.clear()

    yield show


def _show_up(config: Config, running: System, console: Console, moved: bool = False) -> None:
    if seen := _board(config):
        console.print(table.up(seen, running, to_try(config, moved), config.welcome))


def to_try(config: Config, moved: bool = False) -> list[str]:
    """Three commands for whoever has just started it, or has just seen a capability move."""
    # Whoever came by `make run` has no `strangler` on the path.
    program = "strangler"
    if shutil.which(program) is None:
        program = min(os.path.relpath(sys.argv[0]), os.path.abspath(sys.argv[0]), key=len)
    name = next(iter(config.reads), None)
    if name is None:
        return [f"{program} status", f"{program} ps", f"{program} doctor"]
    return [
        f"{program} status",
        f"{program} load --seconds 20",
        f"{program} reverse {name}" if moved else f"{program} apply {name} shadow",
    ]


def _board(config: Config) -> Board | None:
    return board.load(config.root / STATE_DIRECTORY)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
