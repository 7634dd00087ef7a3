"""[contracts] of strangler.toml: where the pacts are, who lives where, how each home is served for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from strangler.toml import Table


@dataclass(frozen=True)
class ServedHome:
    """How a home is served on a database of its own, for verification alone.

    `prepare` and `command` may use {port}, {database} (that database's URL) and what processes may use.
    `states` and `messages` are the paths that bring a provider state about and say a message; a home that
    says none has no `messages`.
    """

    name: str
    prepare: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    env: Mapping[str, str]
    health: str
    states: str
    messages: str | None

    @property
    def uses_database(self) -> bool:
        """Whether some command or variable mentions {database}."""
        words = [*self.command, *self.env.values(), *(word for one in self.prepare for word in one)]
        return any("{database}" in word for word in words)


@dataclass(frozen=True)
class Contracts:
    """The declared contracts. Without `pacts` nothing is declared, and every question is answered with no.

    `consumers` maps a consumer to the home that it is deployed with; `providers` those providers that are no
    capability (what is announced, say) to the homes that answer for them.
    """

    pacts: str | None = None
    consumers: Mapping[str, str] = field(default_factory=dict)
    providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    homes: Mapping[str, ServedHome] = field(default_factory=dict)


def read(table: Table, homes: Collection[str], capabilities: Collection[str]) -> Contracts:
    """Check the table; ConfigError for a home that there isn't, and for a provider that is a capability."""
    pacts = table.get("pacts", str, None)
    consumers = table.texts("consumers", {})
    for home in consumers.values():
        _known(table, home, homes, "consumers")
    providers = {}
    for name, provider in table.tables("providers"):
        if name in capabilities:
            provider.fail(f"{name} is a capability: its homes are declared there.")
        providers[name] = provider.words("homes")
        for home in providers[name]:
            _known(provider, home, homes, "homes")
        provider.done()
    served = {}
    for name, home_table in table.tables("homes"):
        _known(home_table, name, homes, name)
        served[name] = _served(name, home_table)
    table.done()
    return Contracts(pacts, consumers, providers, served)


def _served(name: str, table: Table) -> ServedHome:
    prepare = table.get("prepare", list, [])
    if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in prepare):
        table.fail("'prepare' must be a list of commands, each a list of texts.", "prepare")
    served = ServedHome(
        name=name,
        prepare=tuple(tuple(one) for one in prepare),
        command=table.words("command"),
        env=table.texts("env", {}),
        health=table.get("health", str, "/health/ready"),
        states=table.get("states", str),
        messages=table.get("messages", str, None),
    )
    table.done()
    return served


def _known(table: Table, home: str, homes: Collection[str], key: str) -> None:
    if home not in homes:
        table.fail(f"There is no home {home!r}; declared are: {', '.join(homes) or 'none'}.", key)
