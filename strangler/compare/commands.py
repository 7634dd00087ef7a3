"""`strangler compare`: replays what was recorded, or shows what the live comparator has found so far."""

from __future__ import annotations

import asyncio
import datetime
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from strangler import config as configuration
from strangler.compare import evidence, recording, report
from strangler.compare.errors import CouldNotCompare
from strangler.compare.ignores import Ignores
from strangler.compare.recording import Recorded
from strangler.compare.replay import replay
from strangler.compare.report import Report
from strangler.config import Capability, Config
from strangler.errors import StranglerError, UsageError
from strangler.run.system import System


@click.command()
@click.argument("capability")
@click.option("--live", is_flag=True, help="Show what the live comparator has found instead; asks no home.")
@click.option(
    "--minutes", type=click.IntRange(1), default=60, show_default=True, help="How far back --live looks."
)
@click.option(
    "--phase",
    "of_phase",
    is_flag=True,
    help="With --live: what the current phase has seen, as for the gates.",
)
@click.option("--limit", type=click.IntRange(1), help="Replay the newest so many requests only.")
@click.option("--recording", "path", type=click.Path(path_type=Path), help="Replay this file instead.")
@click.option("--samples", type=click.IntRange(0), default=1, show_default=True, help="Samples per field.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page to this file too."
)
@click.pass_obj
def compare(
    root: Path,
    capability: str,
    live: bool,
    minutes: int,
    of_phase: bool,
    limit: int | None,
    path: Path | None,
    samples: int,
    as_json: bool,
    html: Path | None,
) -> None:
    """Replay recorded traffic against both homes, and say what differs, by route and field.

    CAPABILITY is a name from strangler.toml, or a context (`catalog`) for all of its capabilities.

    Exit codes: 0 same, 1 different (a provably slower route counts as different), 2 couldn't compare.
    """
    config = configuration.load(root)
    chosen = _chosen(config, capability)
    recordings: dict[str, list[Recorded]] = {}
    if not live:
        for one in chosen:  # before anything is started for it
            recorded = recording.read(path or recording.path_of(config.root, one.name))
            recordings[one.name] = recorded[-limit:] if limit else recorded

    from strangler.run.session import running_system

    try:
        with running_system(config, quiet=as_json) as system:
            if live:
                reports = [
                    _live(config, system, one, _span(system, one, minutes, of_phase), samples)
                    for one in chosen
                ]
            else:
                reports = [_replay(config, system, one, recordings[one.name], samples) for one in chosen]
    except CouldNotCompare:
        raise
    except StranglerError as error:
        raise CouldNotCompare(str(error)) from None

    click.echo(report.as_json(reports) if as_json else "\n".join(map(report.text, reports)), nl=as_json)
    if html is not None:
        _write(html, report.html(reports, now=datetime.datetime.now().astimezone()))
        click.echo(f"The page is {html}.", err=True)
    sys.exit(exit_code(reports))


def exit_code(reports: Sequence[Report]) -> int:
    """1 if anything differs, else 2 if something couldn't be compared, else 0."""
    if any(one.differs for one in reports):
        return 1
    return 0 if all(one.compared for one in reports) else 2


def _chosen(config: Config, name: str) -> list[Capability]:
    if name in config.reads:
        return [config.reads[name]]
    if of_context := [one for one in config.reads.values() if one.context == name]:
        return of_context
    written = config.capability(name).name
    raise UsageError(
        f"{written} writes, and a write can't be asked of both homes. Nothing was compared. "
        f"`strangler verify {written}` compares the rows that its writes leave in both."
    )


@dataclass(frozen=True)
class _Span:
    """From when on the live comparator's evidence counts, and that in words."""

    since: datetime.datetime
    words: str
    counting: bool = False  # as the gates count


def _span(system: System, capability: Capability, minutes: int, of_phase: bool) -> _Span:
    if of_phase:
        from strangler.control.store import connect

        with connect(system) as store:
            standing = store.standing(capability.name)
        if standing.since:
            return _Span(standing.since, f"what counts for the gates at {standing.phase}", counting=True)
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    return _Span(since, f"the last {minutes} minutes")


def _live(config: Config, system: System, capability: Capability, span: _Span, samples: int) -> Report:
    if span.counting:
        seen = evidence.counting(system, capability.name, begun=span.since)
    else:
        seen = evidence.evidence(system, capability.name, since=span.since)
    if not seen.captured:
        raise CouldNotCompare(
            f"The live comparator has seen no request of {capability.name} in {span.words}. "
            "It sees them from the phase shadow on: `strangler apply`, then `strangler load`."
        )
    return _report(config, capability, seen, f"live, {span.words}", samples)


def _replay(
    config: Config, system: System, capability: Capability, recorded: list[Recorded], samples: int
) -> Report:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"Replaying {capability.name}", total=len(recorded))
        tally = asyncio.run(replay(config, system, capability, recorded, done=lambda: progress.advance(bar)))
    count = len(recorded)
    source = f"{count:,} recorded request{'' if count == 1 else 's'} replayed"
    return _report(config, capability, evidence.of_tally(tally), source, samples)


def _report(
    config: Config, capability: Capability, seen: evidence.Evidence, source: str, samples: int
) -> Report:
    routes = {"*", *map(str, capability.routes)}
    declared = tuple(one for one in config.compare.ignores if one.route in routes)
    ignores = Ignores(declared, datetime.date.today())
    return Report(seen, ignores, capability.gate.latency_slack, source, samples)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page)
    except OSError as error:
        raise CouldNotCompare(f"The page can't be written to {path}: {error.strerror}.") from None
