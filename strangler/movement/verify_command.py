"""`strangler verify`: which rows at the new home aren't the owner's, by table and key; and mending them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import rich_click as click
from rich.console import Console
from rich.table import Table

from strangler import config as project
from strangler.config import Capability
from strangler.errors import UsageError
from strangler.movement import rounds
from strangler.movement.errors import CopyRefused
from strangler.movement.sides import stream
from strangler.movement.state import follow_state
from strangler.movement.verifier import rounds_without_end
from strangler.movement.verify import Verified, resend, verify

SHOWN = 20  # differences that are printed; --json has all


@click.command("verify", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("capability")
@click.option("--repair", is_flag=True, help="Say which rows the owner would send again.")
@click.option("--execute", is_flag=True, help="With --repair: have them sent, and verify once more.")
@click.option("--continuous", is_flag=True, help="Round after round, at a pace that spares the owner.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def command(
    root: Path, capability: str, repair: bool, execute: bool, continuous: bool, as_json: bool
) -> None:
    """Compare every row of a capability's tables on both sides, while both are written.

    Rows under way aren't reported: each suspect is looked at again behind a mark in the change stream.
    Exits with 1 if a row differs, or if the owner wrote one all the time and nothing can be said of it.
    """
    from strangler.run.session import running_system

    if execute and not repair:
        raise UsageError("--execute goes with --repair. Nothing was changed.")
    if continuous and (repair or as_json):
        raise UsageError("--continuous repairs nothing and prints no JSON. Nothing was changed.")
    config = project.load(root)
    moved = config.capability(capability)
    with running_system(config, quiet=as_json) as system:
        source, target = stream(config, moved, system)
        if continuous:
            if not follow_state(source, target, capability, moved.tables).ordered:
                raise CopyRefused(
                    f"{capability} doesn't follow its owner yet, so there is no stream to verify it through. "
                    f"Nothing was changed; `{_ordering(moved)}` has it follow."
                )
            _print_rounds(rounds_without_end(source, target, capability, moved.tables))
        found, sent = _verified(source, target, moved), 0
        before = found
        if repair and found.differences and not found.followed:
            raise CopyRefused(
                f"{found.reason} {capability} doesn't follow its owner, so nothing can be sent again. "
                f"Nothing was changed; `{_ordering(moved)}` has it follow."
            )
        if execute and found.differences:
            sent = resend(source, found.differences)
            found = _verified(source, target, moved)
    if as_json:
        click.echo(json.dumps(_as_json(capability, before, found, sent), indent=2))
    else:
        _print(before, found, repair, sent)
        if not (found.followed or found.equal):
            click.echo(f"{capability} doesn't follow its owner; `{_ordering(moved)}` has it follow.")
    if not found.equal:
        sys.exit(1)


def _ordering(capability: Capability) -> str:
    return f"strangler apply {capability.name} {'replicate' if capability.kind == 'write' else 'shadow'}"


def _verified(source: str, target: str, capability: Capability) -> Verified:
    """One verification; recorded where the gate on rows will look for it."""
    found = verify(source, target, capability.tables)
    if found.followed:
        rounds.record(target, capability.name, found)
    return found


def _print_rounds(rounds: Iterable[Verified]) -> NoReturn:
    """Until Ctrl-C; then the exit code is that of the last round."""
    equal = True
    try:
        for found in rounds:
            equal = found.equal
            click.echo(f"{found.began:%H:%M:%S} UTC  {found.reason}  ({found.seconds:.1f} s)")
            for difference in found.differences[:SHOWN]:
                click.echo(f"  {difference}.")
    except KeyboardInterrupt:
        pass
    sys.exit(0 if equal else 1)


def _print(before: Verified, found: Verified, repair: bool, sent: int) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("table", "rows", "suspects", "differ", "unsettled"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "table" else "right")
    for one in before.tables:
        counts = (one.rows, one.suspects, len(one.differences), len(one.unsettled))
        table.add_row(one.name, *(f"{count:,}" for count in counts))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for difference in before.differences[:SHOWN]:
        console.print(f"{difference}.", style="red", markup=False)
    if len(before.differences) > SHOWN:
        console.print(f"... and {len(before.differences) - SHOWN:,} more; --json names them all.")
    if sent:
        console.print(f"The owner sent {sent:,} rows again. Verified once more:")
    elif repair and before.differences:
        console.print(
            f"With --execute the owner would send these {len(before.differences):,} rows again. "
            "Nothing was changed."
        )
    console.print(found.reason, style=None if found.equal else "red")


def _as_json(capability: str, before: Verified, found: Verified, sent: int) -> dict[str, object]:
    return {
        "capability": capability,
        "equal": found.equal,
        "reason": found.reason,
        "followed": found.followed,
        "seconds": round(before.seconds, 3),
        "tables": [
            {
                "name": table.name,
                "rows": table.rows,
                "suspects": table.suspects,
                "differences": [{"key": one.key, "kind": one.kind} for one in table.differences],
                "unsettled": table.unsettled,
            }
            for table in before.tables
        ],
        "sent_again": sent,
        "left": [str(one) for one in found.differences],
    }
