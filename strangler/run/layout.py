"""What runs on one machine: strangler.toml's processes, and around them the gateway, comparator and guard."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from urllib.parse import urlsplit

from strangler.config import Config, Process
from strangler.run import databases, placeholders, ports, postgres
from strangler.run.program import Health, Program, http_health, tcp_health
from strangler.run.system import System
from strangler.telemetry import tracing

RABBITMQ = ("amqp", "amqps", "pyamqp")  # no other broker of Celery's keeps events
POSTGRES, GATEWAY, COMPARATOR, GUARD = "postgres", "gateway", "comparator", "guard"
TELEMETRY = "telemetry"

BuiltIns = Callable[[Config, System], list[Program]]


@dataclass(frozen=True)
class Ports:
    """The ports of one run; `processes` holds those that mention {port}."""

    gateway: int
    gateway_admin: int
    postgres: int
    telemetry: int
    processes: Mapping[str, int]


def choose_ports(config: Config, wanted: int | None) -> Ports:
    """Free ports for everything.

    The gateway's is `wanted` (PortTaken if it isn't free); without that the preferred one, if it is free.
    """
    listening = [process.name for process in config.processes.values() if placeholders.listens(process)]
    gateway = ports.demand(wanted) if wanted else config.gateway.port
    free = ports.free_ports(len(listening) + 4)
    if not gateway or not ports.is_free(gateway):
        gateway = free[2]
    processes = dict(zip(listening, free[4:], strict=True))
    if not config.gateway.declared and (door := config.homes[config.gateway.default].process):
        processes[door] = gateway
    return Ports(gateway, free[0], free[1], free[3], processes)


def names(config: Config, embedded: bool) -> list[str]:
    """Everything that will run, in the order of the table."""
    return [*([POSTGRES] if embedded else []), *config.processes]


def postgres_program(cluster: postgres.Cluster, port: int) -> Program:
    """The embedded server."""
    return Program(
        name=POSTGRES,
        command=tuple(cluster.command(port)),
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        directory=str(cluster.directory),
        health=_postgres_health(cluster.url(port)),
        port=port,
        stop_signal=signal.SIGINT,  # fast: disconnects everybody, then stops
    )


def describe(config: Config, chosen: Ports, urls: dict[str, str], modes: dict[str, str]) -> System:
    """The system as everybody will see it."""
    homes = {}
    for home in config.homes.values():
        if home.process is None:
            homes[home.name] = (home.url or "").rstrip("/")
        elif home.process in chosen.processes:
            homes[home.name] = _url(chosen.processes[home.process])
    return System(
        root=str(config.root),
        supervisor=os.getpid(),
        gateway=_url(chosen.gateway),
        gateway_admin=_url(chosen.gateway_admin),
        homes=homes,
        databases=urls,
        modes=modes,
        processes={name: _url(port) for name, port in chosen.processes.items()},
        telemetry=_url(chosen.telemetry) if config.telemetry.sample else "",
    )


def events_broker(environment: Mapping[str, str]) -> str:
    """The RabbitMQ that events go by, as homes are told; "" where subscribers read the outboxes."""
    named = environment.get("EVENTS_BROKER_URL", environment.get("BROKER_URL", ""))
    return named if urlsplit(named).scheme in RABBITMQ else ""


def modes(config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    """For the database, the broker and the way of events: "embedded" or "named"."""
    return {
        "database": "embedded" if databases.needs_embedded(config, environment) else "named",
        "broker": "named" if environment.get("BROKER_URL") else "embedded",
        "events": "named" if events_broker(environment) else "embedded",
    }


def declared(config: Config, system: System, chosen: Ports) -> list[Program]:
    """The processes of strangler.toml, filled in."""
    known = placeholders.values(config, system)
    traced = tracing.environment(config, system)
    return [
        _program(config, process, chosen.processes.get(process.name), known, traced)
        for process in config.processes.values()
    ]


def built_ins(config: Config, system: System) -> list[Program]:
    """The gateway behind every home, where one is declared; behind it the comparator and the guard."""
    if not config.gateway.declared:
        return []
    gateway = import_module("strangler.envoy.gateway")
    homes = frozenset(home.process for home in config.homes.values() if home.process)
    environment = placeholders.own_environment({}, placeholders.values(config, system))
    admin = urlsplit(system.gateway_admin).port or 0
    return [
        *_receiver(system, environment),
        Program(
            name=GATEWAY,
            command=tuple(gateway.command(config, system)),
            environment=environment,
            directory=system.root,
            needs=homes,
            before=partial(gateway.prepare, config, system),
            health=http_health(admin, "/ready"),
            port=urlsplit(system.gateway).port,
            url=system.gateway,
        ),
        Program(
            name=COMPARATOR,
            command=(sys.executable, "-m", "strangler.compare.live"),
            environment=environment,
            directory=system.root,
            needs=frozenset({GATEWAY}),
        ),
        Program(
            name=GUARD,
            command=(sys.executable, "-m", "strangler.control.guard"),
            environment=environment,
            directory=system.root,
            needs=frozenset({GATEWAY}),
        ),
    ]


def _receiver(system: System, environment: dict[str, str]) -> list[Program]:
    """Whoever takes spans. Nobody needs it: what is sent before it is there is lost, and that is all."""
    port = urlsplit(system.telemetry).port
    if not port:
        return []
    command = (sys.executable, "-m", "strangler.telemetry.receiver", "--port", str(port))
    return [
        Program(
            name=TELEMETRY,
            command=command,
            environment=environment,
            directory=system.root,
            health=http_health(port, "/health"),
            port=port,
        )
    ]


def _program(
    config: Config, process: Process, port: int | None, known: Mapping[str, str], traced: Mapping[str, str]
) -> Program:
    known = {**known, "port": str(port)} if port else known
    health: Health | None = None
    if port:
        health = http_health(port, process.health) if process.health else tcp_health(port)
    return Program(
        name=process.name,
        command=tuple(placeholders.fill_all(process.command, known)),
        environment={
            **placeholders.own_environment(process.env, known),
            **traced,
            "OTEL_SERVICE_NAME": process.name,
        },
        directory=str(config.root),
        needs=frozenset({POSTGRES, *process.needs}),  # where there is one
        prepare=tuple(tuple(placeholders.fill_all(one, known)) for one in process.prepare),
        health=health,
        port=port,
        url=_url(port) if port else None,
    )


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _postgres_health(url: str) -> Health:
    async def ask() -> str:
        return "" if await asyncio.to_thread(postgres.answers, url) else "takes no connections"

    return ask
