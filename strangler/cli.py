"""The command line: one table of verbs; the help is generated from it.

A verb's module is imported when the verb is used, so that `strangler --help` stays quick.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import rich_click as click

from strangler.errors import StranglerError


@dataclass(frozen=True)
class Verb:
    """A verb, the click command behind it (`module:attribute`), and the sentence that help shows."""

    name: str
    command: str
    sentence: str


VERBS: dict[str, tuple[Verb, ...]] = {
    "Run it": (
        Verb("run", "strangler.run.commands:run", "Start everything on this machine, and give the tour."),
        Verb("ps", "strangler.run.commands:ps", "Show what runs: state, health, port, restarts, URL."),
        Verb("logs", "strangler.run.logs:command", "Show the log of a process, or of a trace."),
        Verb("stop", "strangler.run.commands:stop", "Stop the running system, in order."),
        Verb("attach", "strangler.run.attach:attach", "Work on a system that runs elsewhere."),
        Verb(
            "doctor", "strangler.run.commands:doctor", "Say what this machine lacks, and what to do about it."
        ),
        Verb(
            "load",
            "strangler.run.load:command",
            "Send mixed reads and writes through the gateway; count failures and time.",
        ),
    ),
    "Move a capability": (
        Verb("status", "strangler.control.commands:status", "Show where every capability stands, and why."),
        Verb("plan", "strangler.control.commands:plan", "Show the gates and the effects of an advance."),
        Verb("apply", "strangler.control.commands:apply", "Advance a capability to its next phase."),
        Verb("reverse", "strangler.control.commands:reverse", "Take a capability back, at once."),
        Verb(
            "complete", "strangler.control.commands:complete", "Archive and drop the old: no way leads back."
        ),
        Verb("cancel", "strangler.control.commands:cancel", "Give a move up; its rows follow no more."),
        Verb(
            "history", "strangler.control.commands:history", "Show who moved what, when, and what came of it."
        ),
    ),
    "Follow events": (
        Verb("events", "strangler.events.commands:events", "Show how events flow; settle what is parked."),
    ),
    "Keep contracts": (
        Verb("contracts", "strangler.contracts.commands:contracts", "Hold both homes to their consumers."),
    ),
    "Watch": (
        Verb("trace", "strangler.telemetry.commands:trace", "Show what a request set going, as a waterfall."),
    ),
    "Compare": (
        Verb("compare", "strangler.compare.commands:compare", "Replay recorded traffic against both homes."),
        Verb("verify", "strangler.movement.verify_command:command", "Compare every row of both homes."),
    ),
    "Learn and teach": (
        Verb("steps", "strangler.steps.commands:steps", "Build the migration's steps as tags; edit them."),
    ),
}


class LazyVerb(click.RichCommand):
    """Stands in for a verb until it is used; help needs its name and sentence only."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(name=verb.name, help=verb.sentence, short_help=verb.sentence)
        self.verb = verb

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> click.Context:
        module, _, attribute = self.verb.command.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        command.name = self.verb.name
        return command.make_context(info_name, args, parent, **extra)


class VerbTable(click.RichGroup):
    """Looks a verb up in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb.name for verbs in VERBS.values() for verb in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return next(
            (LazyVerb(verb) for verbs in VERBS.values() for verb in verbs if verb.name == cmd_name), None
        )


click.rich_click.COMMAND_GROUPS = {
    "strangler": [
        {"name": group, "commands": [verb.name for verb in verbs]} for group, verbs in VERBS.items()
    ]
}
click.rich_click.TEXT_MARKUP = "markdown"


@click.command(cls=VerbTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("."),
    help="The directory that holds strangler.toml.  [default: the current one]",
)
@click.version_option(package_name="strangler")
@click.pass_context
def strangler(context: click.Context, root: Path) -> None:
    """Take a Django monolith apart, one capability at a time, with a way back at every step.

    Exit codes: 0 done or nothing to do, 1 failed, 2 usage, 3 changes pending (`--check`), 4 held by a gate.
    """
    context.obj = root.resolve()


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; what the kit refuses is a sentence on stderr, never a traceback."""
    try:
        return strangler.main(args=arguments, prog_name="strangler")
    except StranglerError as refusal:
        click.echo(f"strangler: {refusal}", err=True)
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
