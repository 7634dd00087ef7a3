"""Asks both homes again what was recorded, as the recorded callers, and adds up what differs."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from urllib.parse import urlsplit

from strangler.compare import asking, freshness
from strangler.compare.asking import Asker
from strangler.compare.callers import issue
from strangler.compare.errors import CouldNotCompare
from strangler.compare.ignores import Ignores
from strangler.compare.look import Look
from strangler.compare.observation import NO_TOKEN, Observation
from strangler.compare.recording import Recorded
from strangler.compare.tally import Tally
from strangler.config import Capability, Config
from strangler.run import placeholders
from strangler.run.system import System

CONCURRENCY = 2  # few, so that the times measured are the homes' and not those of a queue before them
GIVE_UP_AFTER = 5  # requests that nobody answers before anything was compared: then a home is away


async def replay(
    config: Config,
    system: System,
    capability: Capability,
    recorded: Sequence[Recorded],
    *,
    done: Callable[[], object] = lambda: None,
) -> Tally:
    """Compare every recorded request that belongs to the capability; `done` is called after each.

    Raises CouldNotCompare if tokens can't be had, a home is away, or no request belongs to the capability.
    """
    for home in (capability.owner, capability.home):
        if home not in system.homes:
            raise CouldNotCompare(f"{home} isn't running. Nothing was asked. Start it with `strangler run`.")
    tokens = await _tokens(config, system, recorded)
    host = urlsplit(system.gateway).netloc
    ignores = Ignores(config.compare.ignores, datetime.date.today())
    tally, turns = Tally(capability), count()

    async with asking.session(CONCURRENCY) as session:
        fresh = freshness.of(config, system, capability)
        look = Look(capability, Asker(session, system.homes), ignores, fresh)

        async def work(rest: Iterator[Recorded]) -> None:
            for one in rest:
                observation = await _observe(look, one, host, tokens.get(one.caller.subject), next(turns))
                if observation is not None:
                    tally.captured[int(observation.at)] += 1
                    tally.add(observation)
                    _give_up_if_away(tally)
                done()

        rest = iter(recorded)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(CONCURRENCY):
                    workers.create_task(work(rest))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await fresh.close()
    if not tally.outcomes:
        raise CouldNotCompare(
            f"None of the {len(recorded)} recorded requests belongs to a route of {capability.name}. "
            "Nothing was asked. Send the gateway traffic (`strangler load`) to make another recording."
        )
    return tally


async def _observe(
    look: Look, recorded: Recorded, host: str, token: str | None, turn: int
) -> Observation | None:
    route = look.capability.route_of(recorded.method, recorded.target)
    if route is None:
        return None  # strangler.toml has lost the route since
    request = recorded.request(host)
    if recorded.caller.subject and not token:
        return Observation(look.capability.name, str(route), request, time.time(), "not comparable", NO_TOKEN)
    return await look.observe(route, request, token or "", at=time.time(), candidate_first=bool(turn % 2))


def _give_up_if_away(tally: Tally) -> None:
    asked = sum(tally.outcomes.values())
    away = {key.reason for key in tally.outcomes if key.reason.startswith("couldn't ask")}
    if asked == GIVE_UP_AFTER and away and all(key.reason in away for key in tally.outcomes):
        raise CouldNotCompare(
            f"{' and '.join(sorted(away)).capitalize()}: the first {asked} requests had no answer. "
            "Nothing was compared. `strangler ps` shows what runs, `strangler logs` why it doesn't answer."
        )


async def _tokens(config: Config, system: System, recorded: Sequence[Recorded]) -> dict[str, str]:
    subjects = sorted({one.caller.subject for one in recorded if one.caller.subject})
    # The command sees what the control's own process sees: its database and its key.
    process = config.homes[config.gateway.default].process
    known = placeholders.values(config, system)
    return await issue(
        placeholders.fill_all(config.compare.tokens, known),
        subjects,
        system.root,
        placeholders.own_environment(config.processes[process].env if process else {}, known),
    )
