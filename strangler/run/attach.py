"""`strangler attach`: work on a system that somebody else runs: Compose, an orchestrator, a person.

It writes the description that the supervisor writes, from the environment instead of from what it started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import rich_click as click

from strangler import config as configuration
from strangler.config import Config
from strangler.errors import StranglerError, UsageError
from strangler.run import databases, layout, session
from strangler.run.launch import prepare_state
from strangler.run.system import ELSEWHERE, FILE_NAME, STATE_DIRECTORY, System

GATEWAY, GATEWAY_ADMIN = "STRANGLER_GATEWAY_URL", "STRANGLER_GATEWAY_ADMIN_URL"
TELEMETRY = "STRANGLER_TELEMETRY_URL"


def home_variable(name: str) -> str:
    """The variable that names a home's base URL: STRANGLER_HOME_CATALOG_URL."""
    return f"STRANGLER_HOME_{name.upper().replace('-', '_')}_URL"


def describe(config: Config, environment: Mapping[str, str], state: Path) -> System:
    """The system that the environment names. UsageError for what it leaves out; DatabaseRefuses."""
    if databases.needs_embedded(config, environment):
        missing = [
            one.env for one in config.databases.values() if not one.beside and one.env not in environment
        ]
        raise UsageError(f"Nothing names the database: set {', '.join(missing)}. Nothing was changed.")
    homes = {
        home.name: (home.url or _named(environment, home_variable(home.name))).rstrip("/")
        for home in config.homes.values()
    }
    return System(
        root=str(config.root),
        supervisor=ELSEWHERE,
        gateway=_named(environment, GATEWAY).rstrip("/"),
        gateway_admin=_named(environment, GATEWAY_ADMIN).rstrip("/"),
        homes=homes,
        databases=databases.resolve(config, environment, state=state, embedded=None),
        modes=layout.modes(config, environment) | {"database": "named"},
        telemetry=environment.get(TELEMETRY, "").rstrip("/"),
    )


def _named(environment: Mapping[str, str], variable: str) -> str:
    try:
        return environment[variable]
    except KeyError:
        raise UsageError(
            f"{variable} isn't set, and nothing else says that address. Nothing was changed."
        ) from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--prepare", is_flag=True, help="Also render the gateway's files, for an Envoy that is about to start."
)
@click.option("--detach", is_flag=True, help="Forget the system that this project is attached to.")
@click.pass_obj
def attach(root: Path, prepare: bool, detach: bool) -> None:
    """Work on a system that runs elsewhere, as the environment names it.

    STRANGLER_HOME_…_URL for each home, STRANGLER_GATEWAY_URL, STRANGLER_GATEWAY_ADMIN_URL, and the
    databases' own variables; STRANGLER_TELEMETRY_URL, if spans are to be taken. Every other verb then works
    on that system.
    """
    config = configuration.load(root)
    state = prepare_state(config.root)
    found = session.find(config)
    if found and found.supervisor != ELSEWHERE:
        raise StranglerError(
            "A system that `strangler run` started is up in this project. Nothing was changed; stop it: "
            "`strangler stop`."
        )
    if detach:
        (state / FILE_NAME).unlink(missing_ok=True)
        click.echo(f"{STATE_DIRECTORY}/{FILE_NAME} is gone; nothing that runs was touched.")
        return
    system = describe(config, os.environ, state)
    if system.capture_directory.is_symlink():  # of a run on this machine; its tmpfs is nobody else's
        system.capture_directory.unlink()
    system.capture_directory.mkdir(mode=0o700, exist_ok=True)
    system.save()
    if prepare:
        from strangler.envoy import gateway

        gateway.prepare(config, system)
    click.echo(f"Attached to {system.gateway}: " + ", ".join(f"{n} at {u}" for n, u in system.homes.items()))
