"""The two databases between which a capability's rows move: the owner's, and that of the home it moves to."""

from __future__ import annotations

from strangler.config import Capability, Config
from strangler.errors import UsageError
from strangler.movement import applier
from strangler.movement.owning import owns
from strangler.movement.switch import Side
from strangler.run.system import System


def two_sides(config: Config, capability: Capability, system: System) -> tuple[Side, Side]:
    """Both homes as a switch knows them, the first owner first; raises as `sides` does."""
    first, second = sides(config, capability, system)
    advice = f"Write through the gateway: {', '.join(map(str, capability.routes[:2]))}, and so on."

    def side(home: str, url: str) -> Side:
        return Side(home, url, applier.login(system.state, url, first), advice)

    return side(capability.owner, first), side(capability.home, second)


def stream(config: Config, capability: Capability, system: System) -> tuple[str, str]:
    """Both URLs as the rows go now, that of whoever owns them first; raises as `sides` does."""
    first, second = sides(config, capability, system)
    return (second, first) if owns(second, capability.tables) else (first, second)


def sides(config: Config, capability: Capability, system: System) -> tuple[str, str]:
    """Both URLs, the first owner's first; UsageError without a database or declared tables."""
    if not capability.tables:
        raise UsageError(
            f"{capability.name} declares no tables, so none of its rows can move. Nothing was changed."
        )
    urls = []
    for name in (capability.owner, capability.home):
        database = config.homes[name].database
        if database is None:
            raise UsageError(
                f"The home {name!r} declares no database, so the rows of {capability.name} can't move. "
                f"Nothing was changed; name it under [homes.{name}]."
            )
        urls.append(system.databases[database])
    return urls[0], urls[1]
