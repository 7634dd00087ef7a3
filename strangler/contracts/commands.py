"""`strangler contracts`: what consumers need of a capability, held against both homes."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console, RenderableType

from strangler import config as project
from strangler.config import Config
from strangler.contracts import compare as both
from strangler.contracts import text
from strangler.contracts.errors import NotDeployable
from strangler.contracts.running import judge, open_ledger, running_versions, settle
from strangler.contracts.verify import Verification, check_known, homes_of, pacts_of, verify
from strangler.errors import UsageError

as_json = click.option("--json", "in_json", is_flag=True, help="Print JSON instead of text.")
WIDE = 120  # columns where nobody looks at a terminal


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def contracts() -> None:
    """Hold both homes to what their consumers need, and say what may be routed to."""


@contracts.command("verify")
@click.argument("capability", required=False)
@click.option("--home", help="Verify this home alone.")
@as_json
@click.pass_obj
def verify_command(root: Path, capability: str | None, home: str | None, in_json: bool) -> None:
    """Run every consumer's pact against both homes, each served on a database of its own.

    CAPABILITY is a provider's name, or a context (`catalog`) for all of its; without it every pact runs.
    What is found out is recorded in the running system's ledger, if one runs here.

    Exit codes: 0 everything holds, 1 something doesn't, 2 nothing could be found out or nothing ran.
    """
    config = project.load(root)
    if home is not None and home not in config.homes:
        raise UsageError(f"There is no home {home!r}; declared are: {', '.join(config.homes)}.")
    done = verify(config, capability, home)
    left_out = _recorded(config, done)
    if in_json:
        click.echo(json.dumps(text.verification_json(done), indent=2))
    else:
        _print(text.verification_text(done))
    for line in left_out:
        click.echo(line, err=True)
    sys.exit(0 if done.passed else 1 if done.interactions else 2)


@contracts.command("record")
@click.argument("file", type=click.File())
@click.pass_obj
def record_command(root: Path, file: Any) -> None:
    """Take what `strangler contracts verify --json` found out elsewhere into this system's ledger."""
    config = project.load(root)
    done = text.verification_from_json(file.read())
    for pact in done.pacts:
        check_known(config, pact)
    with _running(config) as system:
        for line in settle(config, system, done, _operator()):
            click.echo(line, err=True)
    _print(text.summary(done))


@contracts.command("can-i-deploy")
@click.option("--home", help="Ask for this home alone.")
@click.option("--version", help="With --home: that version of it, instead of the one that runs.")
@as_json
@click.pass_obj
def can_i_deploy(root: Path, home: str | None, version: str | None, in_json: bool) -> None:
    """Say whether what runs (or a version of a home) keeps every contract with what is deployed beside it.

    Exit codes: 0 yes, 4 no; whatever is unknown, missing or was never verified is a no.
    """
    config = project.load(root)
    if version and not home:
        raise UsageError("--version is that of a home; name it with --home.")
    if home is not None and home not in config.homes:
        raise UsageError(f"There is no home {home!r}; declared are: {', '.join(config.homes)}.")
    with _running(config, quiet=in_json) as system, open_ledger(system) as book:
        versions = running_versions(config, system)
        for one in book.deployed():  # what doesn't answer is taken for what was deployed last
            versions[one.home] = versions.get(one.home) or one.version
        if home and version:
            versions[home] = version
        verdicts = judge(config, book, versions, providers_of(config, home))
    yes = bool(verdicts) and all(one.deployable for one in verdicts)
    if in_json:
        found = [asdict(one) for one in verdicts]
        click.echo(json.dumps({"deployable": yes, "versions": versions, "providers": found}, indent=2))
    else:
        _print(text.verdicts_text(verdicts, versions))
    if not yes:
        raise NotDeployable("No. Nothing was changed.")


@contracts.command("deployed")
@as_json
@click.pass_obj
def deployed_command(root: Path, in_json: bool) -> None:
    """Record which versions run now, and show what is deployed."""
    config = project.load(root)
    with _running(config, quiet=in_json) as system, open_ledger(system) as book:
        versions = running_versions(config, system)
        book.deploy({home: one for home, one in versions.items() if one}, _operator())
        found = book.deployed()
    if in_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, default=str))
    else:
        _print(text.deployed_text(found))


@contracts.command("compare")
@click.argument("capability", required=False)
@as_json
@click.pass_obj
def compare_command(root: Path, capability: str | None, in_json: bool) -> None:
    """Ask both homes every interaction, and hold their whole answers against each other.

    It finds what no consumer names: a field that one home has and the other lacks.

    Exit codes: 0 same, 1 different, 2 couldn't be told.
    """
    config = project.load(root)
    found = both.compare(config, pacts_of(config, capability))
    if in_json:
        click.echo(json.dumps(text.compared_json(found), indent=2))
    else:
        _print(text.compared_text(found))
    sys.exit(1 if any(one.found for one in found) else 0)


@contracts.command("publish")
@click.pass_obj
def publish_command(root: Path) -> None:
    """Publish pacts, results and deployments to the Pact Broker that PACT_BROKER_BASE_URL names."""
    from strangler.contracts.broker import Broker, publish

    config = project.load(root)
    broker = Broker.named(os.environ)
    with _running(config) as system, open_ledger(system) as book:
        for line in publish(broker, book, config):
            click.echo(line)


def providers_of(config: Config, home: str | None = None) -> list[str]:
    """Capabilities that ask for contracts, and the other providers; those of one home, if it is named.

    A home's consumers count too: what they need is asked of every provider.
    """
    all_of_them = [one.name for one in config.capabilities.values() if one.gate.contracts]
    all_of_them += config.contracts.providers
    if home is None or home in config.contracts.consumers.values():
        return all_of_them
    return [one for one in all_of_them if home in homes_of(config, one)]


def _recorded(config: Config, done: Verification) -> list[str]:
    """Record a run where a system runs here; says what wasn't."""
    from strangler.run.session import find

    system = find(config)
    if system is None:
        return [
            "No system runs here, so nothing was recorded (`--json` and `strangler contracts record` can)."
        ]
    return settle(config, system, done, _operator())


def _running(config: Config, *, quiet: bool = False) -> Any:
    from strangler.run.session import running_system

    return running_system(config, quiet=quiet)


def _operator() -> str:
    from strangler.control.desk import operators_name

    return operators_name()


def _print(what: RenderableType) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    console.print(what)
