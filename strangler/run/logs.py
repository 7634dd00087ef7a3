"""`strangler logs`: what the processes wrote, for people; or all that any of them wrote about one trace.

A line is a JSON object of time, level, logger and event, with the ids of its trace and request; what isn't
one (a traceback, a banner) is shown as it is.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import rich_click as click

from strangler import config as configuration
from strangler.errors import StranglerError, UsageError
from strangler.run.system import STATE_DIRECTORY

_LED_BY = ("time", "level", "logger", "event", "trace", "span", "request", "error")
COLOURS = {"warning": "yellow", "error": "red", "critical": "red", "debug": "bright_black"}


@dataclass(frozen=True)
class Line:
    """One line of a log; `values` is None for one that isn't an object."""

    text: str
    values: dict[str, Any] | None

    @classmethod
    def of(cls, text: str) -> Line:
        with contextlib.suppress(ValueError):
            if text.startswith("{") and isinstance(values := json.loads(text), dict):
                return cls(text, values)
        return cls(text, None)

    def belongs_to(self, ids: set[str]) -> bool:
        """Whether it was written about a trace or a request of these ids."""
        values = self.values or {}
        return not ids.isdisjoint({values.get("trace"), values.get("request")})

    @property
    def at(self) -> datetime:
        """When it was written, as far as it says."""
        try:
            said = datetime.fromisoformat(str((self.values or {}).get("time", "")))
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return said if said.tzinfo else said.replace(tzinfo=UTC)

    @property
    def moment(self) -> str:
        """The time of day, to the millisecond."""
        return str((self.values or {}).get("time", ""))[11:23]

    def for_people(self) -> str:
        """Time, level, logger and what happened; then whatever else is in it."""
        if self.values is None:
            return self.text
        values = self.values
        level = str(values.get("level", ""))
        what = values.get("event", _of_request(values))
        head = " ".join(
            word
            for word in (self.moment, level.upper().ljust(7) if level else "", values.get("logger", ""))
            if word
        )
        rest = {} if "event" not in values else {n: v for n, v in values.items() if n not in _LED_BY}
        extras = "".join(click.style(f"  {name}={value}", dim=True) for name, value in rest.items())
        error = f"\n{values['error']}" if values.get("error") else ""
        return f"{click.style(head, fg=COLOURS.get(level), dim=level == 'info')}  {what}{extras}{error}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on as it grows.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="How many of the last; 0: all.",
)
@click.option("--json", "raw", is_flag=True, help="Print the lines as they are written.")
@click.option(
    "--trace", "wanted", metavar="ID", help="Only what was written about a trace, a request or an event."
)
@click.pass_obj
def command(root: Path, name: str | None, follow: bool, lines: int, raw: bool, wanted: str | None) -> None:
    """Show the log of a process; of `supervisor` too. With --trace, of all processes at once."""
    config = configuration.load(root)
    directory = config.root / STATE_DIRECTORY / "logs"
    known = sorted(one.stem for one in directory.glob("*.log"))
    names = ", ".join(known) or "none yet; `strangler run` starts everything"
    if name is None and wanted is None:
        raise UsageError(f"Name a process, or a trace by --trace. There are logs of: {names}.")
    if name is not None and name not in known:
        raise UsageError(f"There is no log of {name!r}. There are: {names}.")
    ids = _ids_of(config.root, wanted) if wanted else None
    if name is None:
        if follow:
            raise UsageError("--follow follows one process: name it.")
        assert wanted is not None
        assert ids is not None
        return _show_trace(directory, known, wanted, ids, raw)
    with (directory / f"{name}.log").open(errors="replace") as file:
        found = [line for line in _lines(file) if ids is None or line.belongs_to(ids)]
        for line in found[-lines or -sys.maxsize :]:
            _show(line, raw)
        with contextlib.suppress(KeyboardInterrupt):
            while follow:
                for line in _lines(file, whole=True):
                    if ids is None or line.belongs_to(ids):
                        _show(line, raw)
                time.sleep(0.2)


def _show_trace(directory: Path, names: list[str], wanted: str, ids: set[str], raw: bool) -> None:
    """What every process wrote about it, in the order of time; StranglerError if nobody did."""
    found: list[tuple[str, Line]] = []
    for name in names:
        with (directory / f"{name}.log").open(errors="replace") as file:
            found += [(name, line) for line in _lines(file) if line.belongs_to(ids)]
    if not found:
        raise StranglerError(
            f"Nobody wrote anything about {wanted!r}. `strangler trace` lists the latest traces; an id is "
            "the answer's x-trace-id or x-request-id, or an event's whose trace is kept."
        )
    width = max(len(name) for name, _ in found)
    for name, line in sorted(found, key=lambda one: one[1].at):
        if raw:
            click.echo(json.dumps({"process": name} | (line.values or {}), ensure_ascii=False))
        else:
            click.echo(f"{name:<{width}}  {line.for_people()}")


def _ids_of(root: Path, wanted: str) -> set[str]:
    """Every id that a line about it may carry: its trace's and its requests'."""
    from strangler.telemetry.store import Store

    store = Store(root)
    try:
        spans = store.trace(wanted)
    finally:
        store.close()
    requests = {str(one.attributes.get("strangler.request.id", wanted)) for one in spans}
    return {wanted} | {one.trace for one in spans} | requests


def _lines(file: TextIO, *, whole: bool = False) -> Iterator[Line]:
    """The lines from here on; of a `whole` one only once all of it is there."""
    place = file.tell()
    while text := file.readline():
        if whole and not text.endswith("\n"):
            file.seek(place)
            return
        place = file.tell()
        yield Line.of(text.rstrip("\n"))


def _show(line: Line, raw: bool) -> None:
    click.echo(line.text if raw else line.for_people())


def _of_request(values: dict[str, Any]) -> str:
    """A line of the gateway's access log, which says no event."""
    told = (values.get("method"), values.get("path"), values.get("status"))
    said = " ".join(str(one) for one in told if one is not None)
    home = values.get("home") or "the gateway"
    return f"{said}  {values.get('ms', '?')} ms from {home}" if said else json.dumps(values)
