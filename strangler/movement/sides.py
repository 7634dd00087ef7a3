"""The two databases between which a capability's rows move: the owner's, and that of the home it moves to."""

from __future__ import annotations

from strangler.config import Capability, Config
from strangler.errors import UsageError
from strangler.run.system import System


def sides(config: Config, capability: Capability, system: System) -> tuple[str, str]:
    """Both URLs, the owner's first; UsageError where a home has no database, or no tables are declared."""
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
