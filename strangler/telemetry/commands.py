"""`strangler trace`: what a request set going, from the gateway to the last handler."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import rich_click as click

from strangler import config as project
from strangler.errors import UsageError
from strangler.run import table
from strangler.telemetry import page, text, waterfall
from strangler.telemetry.errors import TraceUnknown
from strangler.telemetry.store import Store


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("wanted", metavar="[ID]", required=False)
@click.option("--json", "in_json", is_flag=True, help="Print JSON instead of text.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with the waterfall."
)
@click.option("--slowest", is_flag=True, help="Without ID: the slowest of the latest traces first.")
@click.option(
    "--limit", "-n", type=click.IntRange(1), default=20, show_default=True, help="Without ID: how many."
)
@click.pass_obj
def trace(
    root: Path, wanted: str | None, in_json: bool, html: Path | None, slowest: bool, limit: int
) -> None:
    """Show the waterfall of a trace: who did what, when, and what the end waited for.

    ID is a trace's (every answer of the gateway carries it as x-trace-id), a request's (x-request-id) or an
    event's. Without it, the latest traces are listed.
    """
    config = project.load(root)
    if html and not wanted:
        raise UsageError(
            "--html shows one trace: name its ID. `strangler trace` lists them. Nothing was written."
        )
    store = Store(config.root)
    try:
        if wanted is None:
            _list(store, config.gateway.exchange, in_json, slowest, limit)
        else:
            _show(store, config.telemetry.sample, wanted, in_json, html)
    finally:
        store.close()


def _show(store: Store, sample: float, wanted: str, in_json: bool, html: Path | None) -> None:
    spans = store.trace(wanted)
    if not spans:
        raise TraceUnknown(_why_unknown(store, sample, wanted))
    shown = waterfall.build(spans)
    if html:
        _write(html, page.render(shown))
    if in_json:
        click.echo(json.dumps(waterfall.as_values(shown), indent=2))
    elif html:
        click.echo(f"{html} shows trace {shown.trace}.")
    else:
        table.console().print(text.waterfall(shown))


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content)
    except OSError as error:
        raise UsageError(f"The page can't be written to {path}: {error.strerror}.") from None


def _why_unknown(store: Store, sample: float, wanted: str) -> str:
    if not store.exists:
        return (
            f"No traces are kept in this project yet, so there is none of {wanted}. `strangler run` starts "
            "everything; then each answer of the gateway carries its trace's id as x-trace-id."
        )
    share = "" if sample == 1 else f", of which {sample:.0%} are kept at all ([telemetry] sample)"
    return (
        f"Nothing is kept of {wanted!r}. A span arrives a second after it ended, and the oldest go first"
        f"{share}. `strangler trace` lists what is there; an id is the answer's x-trace-id or x-request-id, "
        "or an event's."
    )


def _list(store: Store, exchange: str | None, in_json: bool, slowest: bool, limit: int) -> None:
    found = store.latest(slowest=slowest, limit=limit, exchange=exchange)
    if in_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        table.console().print(text.listing(found))
    else:
        click.echo(
            "No traces are kept yet. `strangler run` starts everything; then ask the gateway for something."
        )
