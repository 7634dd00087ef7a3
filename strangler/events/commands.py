"""`strangler events`: how far events have come, what is parked, and what is to become of it."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any

import rich_click as click

from strangler import config as project
from strangler.errors import UsageError
from strangler.events.databases import Databases, Parked, checked_json

as_json = click.option("--json", "in_json", is_flag=True, help="Print JSON instead of text.")
of_subscription = click.option("--subscription", metavar="NAME", help="Only of this subscription.")
_NUMBER = re.compile(r"[\d,]+(\.\d+)?( m?s)?|-")  # as printed here; no id that begins with digits


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def events() -> None:
    """Show how far events have come, and settle what is parked.

    Marks are set in the homes' databases; the home's consumer acts on them within a second.
    """


def on_databases(verb: Callable[..., None]) -> Callable[..., None]:
    """Hand a verb the homes' databases first."""

    @wraps(verb)
    def with_databases(**options: Any) -> None:
        context: Any = click.get_current_context()
        with _databases(context.obj) as databases:
            verb(databases, **options)

    return with_databases


@events.command()
@as_json
@on_databases
def lag(databases: Databases, in_json: bool) -> None:
    """Show what waits in every outbox, and how soon every subscription handles what was announced."""
    outboxes, inboxes = databases.lag()
    if in_json:
        return _print_json({"outboxes": map(asdict, outboxes), "subscriptions": map(asdict, inboxes)})
    if not outboxes and not inboxes:
        click.echo("No home's database has an outbox or an inbox.")
    if outboxes:
        rows = [
            (
                one.home, one.recorded, "read by its subscribers" if one.waiting is None else one.waiting,
                "-" if one.oldest is None else f"{one.oldest:.1f} s", one.held_keys,
            )
            for one in outboxes
        ]  # fmt: skip
        print_table(("outbox", "recorded", "waiting", "oldest", "keys held"), rows)
    if inboxes:
        click.echo()
        titles = ("subscription", "home", "handled", "p50", "p99", "unread", "parked", "keys")
        print_table(
            titles,
            [
                (
                    one.subscription, one.home, one.handled, _ms(one.p50), _ms(one.p99),
                    "-" if one.unread is None else one.unread, one.parked, one.parked_keys,
                )
                for one in inboxes
            ],
        )  # fmt: skip


@events.command()
@of_subscription
@as_json
@on_databases
def parked(databases: Databases, subscription: str | None, in_json: bool) -> None:
    """Show the parked keys: the event that could not be handled, why, and how many wait behind it."""
    found = databases.parked(subscription)
    if in_json:
        return _print_json(map(asdict, found))
    if not found:
        click.echo("Nothing is parked.")
    for one in found:
        click.echo(f"{one.key} in {one.subscription} at {one.home}, {_behind(one)}")
        click.echo(f"  {one.event}  {one.type or 'unreadable'}  {one.state}, tries: {one.attempts}")
        click.echo(f"  {one.reason}")


@events.command()
@click.argument("event", required=False)
@of_subscription
@click.option(
    "--data", metavar="JSON", help="Edit it: this takes the place of the event's data. @FILE reads it."
)
@as_json
@on_databases
def retry(
    databases: Databases, event: str | None, subscription: str | None, data: str | None, in_json: bool
) -> None:
    """Handle a parked EVENT again, or all of a subscription; what waits behind follows in order."""
    if not event and not subscription:
        raise UsageError("Name an EVENT, or a --subscription for all of its. Nothing was changed.")
    if data and not event:
        raise UsageError("--data edits one event: name it. Nothing was changed.")
    if data and data.startswith("@"):
        try:
            data = Path(data[1:]).read_text()
        except OSError as error:
            raise UsageError(f"{data[1:]} can't be read: {error.strerror}. Nothing was changed.") from None
    done = databases.mark("retry", event, subscription, checked_json(data) if data else None)
    _say_marked("is retried with its new data" if data else "is retried", done, in_json)


@events.command()
@click.argument("event")
@of_subscription
@as_json
@on_databases
def skip(databases: Databases, event: str, subscription: str | None, in_json: bool) -> None:
    """Give a parked EVENT up: it has no effect, and what waits behind it goes on."""
    _say_marked("is skipped", databases.mark("skip", event, subscription), in_json)


@events.command()
@click.argument("subscription")
@click.option("--event", metavar="ID", help="Only this event.")
@click.option("--key", help="Only the events of this key.")
@click.option(
    "--since", type=click.DateTime(), metavar="TIME", help="Only what was handled since then, in UTC."
)
@click.option("--all", "everything", is_flag=True, help="All that it has ever handled.")
@click.option("--dry-run", is_flag=True, help="Only say how many events that would be.")
@as_json
@on_databases
def replay(
    databases: Databases,
    subscription: str,
    event: str | None,
    key: str | None,
    since: datetime.datetime | None,
    everything: bool,
    dry_run: bool,
    in_json: bool,
) -> None:
    """Let a SUBSCRIPTION handle again what it has handled: its effects happen once more."""
    if not (event or key or since or everything):
        raise UsageError("Name what is replayed: --event, --key, --since or --all. Nothing was changed.")
    if since:
        since = since.replace(tzinfo=datetime.UTC)
    count = databases.replay(subscription, event=event, key=key, since=since, dry_run=dry_run)
    if in_json:
        return _print_json({"subscription": subscription, "events": count, "dry_run": dry_run})
    would = "would be handled again; nothing was changed" if dry_run else "are handled again, in order"
    click.echo(f"{count} events of {subscription} {would}.")


@events.command()
@click.argument("wanted", metavar="ID")
@as_json
@on_databases
def trace(databases: Databases, wanted: str, in_json: bool) -> None:
    """Show the way of an event, or of all events of a trace: recorded, published, handled, parked."""
    steps = databases.trace(wanted)
    if in_json:
        return _print_json(map(asdict, steps))
    start = steps[0].at
    click.echo(f"from {start:%Y-%m-%d %H:%M:%S} UTC")
    rows = [
        (f"+{(one.at - start).total_seconds() * 1000:.1f} ms", one.home, one.event, one.what) for one in steps
    ]
    print_table(("after", "home", "event", "what"), rows)


@contextmanager
def _databases(given: Path | Databases) -> Iterator[Databases]:
    if isinstance(given, Databases):
        yield given
        return
    from strangler.run.session import running_system

    config = project.load(given)
    with running_system(config) as system:
        yield Databases(
            {name: system.databases[home.database] for name, home in config.homes.items() if home.database}
        )


def _say_marked(what: str, done: Sequence[Parked], in_json: bool) -> None:
    if in_json:
        return _print_json(map(asdict, done))
    for one in done:
        click.echo(f"{one.event} of {one.key} {what} in {one.subscription} at {one.home}, {_behind(one)}.")


def _behind(one: Parked) -> str:
    return f"with {one.behind} behind it" if one.behind else "with nothing behind it"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def print_table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    lines = [tuple(titles), *(tuple(f"{c:,}" if isinstance(c, int) else str(c) for c in row) for row in rows)]
    right = [all(_NUMBER.fullmatch(line[n]) for line in lines[1:]) for n in range(len(titles))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(titles))]
    for line in lines:
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        click.echo("  ".join(cells).rstrip())


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else list(value)
