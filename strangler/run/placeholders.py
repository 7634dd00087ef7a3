"""Fills {python}, {port}, {root}, {state}, {url.<process>} and {database.<name>} in strangler.toml."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

from strangler.config import FILE_NAME, Config, Process
from strangler.errors import UsageError
from strangler.run.system import System

PLACEHOLDER = re.compile(r"\{([a-z]+(?:\.[\w-]+)?)\}")


def listens(process: Process) -> bool:
    """Whether a process wants a port."""
    return any("{port}" in word for word in (*process.command, *process.env.values()))


def values(config: Config, system: System) -> dict[str, str]:
    """What can be filled in for every process of a system; {port} is each process's own, and comes on top.

    A process that listens, but not here (an attached system's), has the address "".
    """
    known = {
        "python": sys.executable,
        "root": system.root,
        "state": str(system.state),
        "url.gateway": system.gateway,
    }
    known |= {f"database.{name}": url for name, url in system.databases.items()}
    known |= {
        f"url.{one.name}": system.processes.get(one.name, "")
        for one in config.processes.values()
        if listens(one)
    }
    homes = ((home.process, system.homes.get(home.name)) for home in config.homes.values())
    return known | {f"url.{process}": url for process, url in homes if process and url}


def fill(text: str, known: Mapping[str, str]) -> str:
    """Replace each placeholder; UsageError for one that means nothing here."""

    def replace(found: re.Match[str]) -> str:
        try:
            return known[found[1]]
        except KeyError:
            raise UsageError(
                f"{FILE_NAME} uses {found[0]}, and nothing can be filled in for it. Nothing was started. "
                f"Known here are: {', '.join(f'{{{name}}}' for name in sorted(known))}."
            ) from None

    return PLACEHOLDER.sub(replace, text)


def fill_all(words: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """A command's words, filled."""
    return [fill(word, known) for word in words]


def environment(config: Config, system: System, process: str) -> dict[str, str]:
    """The environment that a declared process runs with; for commands that must see what it sees."""
    return own_environment(config.processes[process].env, values(config, system))


def own_environment(declared: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, what every process of a system gets, and what the file declares."""
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "STATE_DIRECTORY": known["state"],
        **{name: fill(text, known) for name, text in declared.items()},
    }
