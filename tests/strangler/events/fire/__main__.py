"""Burns in full size, prints what was found, and says by its exit code whether anything was amiss."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time

from rich.console import Console
from rich.table import Table

from strangler.errors import StranglerError
from tests.strangler.events.fire.aftermath import clear_up
from tests.strangler.events.fire.burning import FULL, SAMPLE, Outcome, burn
from tests.strangler.events.fire.ways import WAYS
from tests.strangler.events.rabbit import NoRabbit


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.strangler.events.fire", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="a small fire, of half a minute")
    parser.add_argument("--way", choices=list(WAYS), action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="what burns when")
    options = parser.parse_args(arguments)
    console, failed = Console(width=None if sys.stdout.isatty() else 130), False
    size = SAMPLE if options.sample else FULL
    for way in options.way or WAYS:
        console.print(f"{way}: {size.events:,} events over {size.keys} keys burn, seed {options.seed}")
        start = time.monotonic()
        try:
            with WAYS[way]() as (publisher, subscriber, server):
                outcome = burn(publisher, subscriber, server, size, options.seed)
                console.print(table(outcome))
                check(outcome.verdict.good, "what was handled isn't what was committed")
                after = clear_up(publisher, subscriber)
                console.print(f"  once it is edited and retried: {after}")
                check(after.good and after.committed == size.events, "something is amiss there")
        except (AssertionError, NoRabbit, StranglerError) as amiss:
            console.print(f"  [bold red]failed:[/] {amiss or type(amiss).__name__}\n")
            failed = True
        else:
            console.print(f"  all there after {time.monotonic() - start:.0f} s\n")
    return int(failed)


def check(good: bool, why: str) -> None:
    if not good:
        raise AssertionError(why)


def table(outcome: Outcome) -> Table:
    """What was done, and what was found."""
    rows = Table(box=None, show_header=False, padding=(0, 2))
    for name, count in outcome.kills.items():
        rows.add_row(name if name.startswith(("stop", "crash")) else f"kill -9 {name}", str(count))
    rows.add_row("of these, in the middle of work", str(outcome.at_work))
    rows.add_row("while the poisoned key is parked", str(outcome.verdict))
    rows.add_row("handled", f"{outcome.events_per_second:,.0f} events/s")
    rows.add_row("delivered again", f"{outcome.redelivered:,} events, known to the inbox")
    rows.add_row("longest gap between two effects", f"{outcome.longest_gap:.1f} s")
    rows.add_row("from a server's return to the next effect", f"{outcome.again:.1f} s at most")
    rows.add_row("busy while it is away", f"{outcome.busy:.0%} of a core, relay and consumer together")
    return rows


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing burning
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.strangler.events.project.settings")
    sys.exit(main(sys.argv[1:]))
