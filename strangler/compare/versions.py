"""Asks the homes every second which version of them runs, so that a deployment is noticed."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping

import aiohttp

from strangler.compare.footing import Footing, rules
from strangler.config import Capability, Config

READY = "/health/ready"
PAUSE_SECONDS = 1.0
PATIENCE = aiohttp.ClientTimeout(total=2.0)


class Versions:
    """The version of each home as it last told it; a home that doesn't answer keeps the one that it told."""

    def __init__(self, session: aiohttp.ClientSession, homes: Mapping[str, str]) -> None:
        self._session, self._homes = session, homes
        self._told: dict[str, str] = {}

    async def go_on(self) -> None:
        """Ask for ever."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self.ask()

    async def ask(self) -> None:
        """Ask every home once."""
        found = await asyncio.gather(*(self._ask(home, url) for home, url in self._homes.items()))
        self._told |= {home: version for home, version in found if version is not None}

    def footing(self, config: Config, capability: Capability) -> Footing:
        """What this capability's evidence rests on now; only the versions that were ever told are in it."""
        homes = (capability.owner, capability.home)
        versions = {home: self._told[home] for home in homes if home in self._told}
        return Footing(versions, rules(config, capability, datetime.date.today()))

    async def _ask(self, home: str, url: str) -> tuple[str, str | None]:
        try:
            async with self._session.get(url + READY, timeout=PATIENCE) as answer:
                told = await answer.json(content_type=None)
                return home, str(told.get("version", "")) if isinstance(told, dict) else ""
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return home, None
