"""Compares one request: asks who wasn't asked yet, judges, and looks twice before it says "different".

While rows are written, the second look is what tells a bug from a write: the candidate is asked between two
questions to the control, once it has all that the first of them saw. A control that said the same both times
can't have changed in between, so a candidate that says something else is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from strangler.compare.asking import Asker
from strangler.compare.errors import CouldNotAsk
from strangler.compare.freshness import Freshness, Unfollowed
from strangler.compare.ignores import Ignores
from strangler.compare.judge import judge, outcome
from strangler.compare.observation import (
    SETTLED,
    STALE,
    Answer,
    Difference,
    Judged,
    Observation,
    Request,
    could_not_ask,
)
from strangler.compare.walk import differences
from strangler.config import Capability, Route

LOOKS = 3  # at most, at a control that is written just then
SECOND_LOOK_SECONDS = 0.1  # a write that fell between the first two answers has reached both homes by then


@dataclass(frozen=True)
class Look:
    """How requests of one capability are compared: whom to ask, what is declared, how fresh the rows are."""

    capability: Capability
    asker: Asker
    ignores: Ignores
    freshness: Freshness = field(default_factory=Unfollowed)

    async def observe(
        self,
        route: Route,
        request: Request,
        token: str,
        *,
        at: float,
        given: Answer | None = None,
        timed: bool = True,
        again: bool = False,
        candidate_first: bool = False,
    ) -> Observation:
        """One observation; a home that doesn't answer makes it "not comparable", it raises nothing.

        `given` is an answer that a client got already (None in a replay). `timed` asks both homes in any
        case, one right after the other, so that their times can be compared; `candidate_first` says in which
        order. `again` asks the control twice (A/A).
        """
        control_home, candidate_home = self.capability.owner, self.capability.home
        noise: set[str] = set()
        judged: tuple[Judged, ...] = ()
        times: tuple[float, float] | None = None
        status, reason = 0, ""

        try:
            written = await self.freshness.written()
            if await self.freshness.is_behind():
                raise _Stale
            if given is None or timed:
                control, candidate = await self._both(request, token, candidate_first)
                times = (control.milliseconds, candidate.milliseconds)
                if given is not None and given.home == control_home:
                    noise |= _paths(given, control)
                elif again:
                    noise |= _paths(control, await self.asker.ask(control_home, request, token))
            elif given.home == control_home:
                control, candidate = given, await self.asker.ask(candidate_home, request, token)
            else:
                control, candidate = await self.asker.ask(control_home, request, token), given
            status = control.status
            judged = judge(str(route), differences(control, candidate), noise, self.ignores)

            if outcome(judged) == "different":
                await asyncio.sleep(SECOND_LOOK_SECONDS)
                for _ in range(LOOKS):
                    before, found, moved = await self._second_look(request, token)
                    if not moved:  # else a write may have fallen between the three answers
                        break
                first = {(one.difference.path, one.difference.kind) for one in judged}
                standing = [one for one in found if (one.path, one.kind) in first]
                earlier = _before_the_candidate(given, control, control_home, candidate_first)
                if standing:
                    judged = judge(str(route), standing, noise | moved, self.ignores)
                elif (wavering := _wavering(judged, earlier, before, moved)) and await self._stands(written):
                    judged = wavering
                else:
                    reason = SETTLED
                    judged = tuple(Judged(one.difference, "settled") for one in judged)
        except _Stale:
            reason, judged, times = STALE, (), None
        except CouldNotAsk as error:
            reason, judged, times = could_not_ask(error.home), (), None

        return Observation(
            capability=self.capability.name,
            route=str(route),
            request=request,
            at=at,
            outcome="not comparable" if reason else outcome(judged),
            reason=reason,
            control_status=status,
            judged=judged,
            times=times,
        )

    async def _second_look(
        self, request: Request, token: str
    ) -> tuple[Answer, Sequence[Difference], set[str]]:
        """The control's answer, what differs now, and the paths at which the control moved meanwhile."""
        before = await self.asker.ask(self.capability.owner, request, token)
        if await self.freshness.is_behind():
            raise _Stale
        candidate = await self.asker.ask(self.capability.home, request, token)
        after = await self.asker.ask(self.capability.owner, request, token)
        return before, differences(before, candidate), _paths(before, after)

    async def _stands(self, written: str | None) -> bool:
        """Whether nothing was written meanwhile, not even there and back."""
        return written is not None and written == await self.freshness.written()

    async def _both(self, request: Request, token: str, candidate_first: bool) -> tuple[Answer, Answer]:
        homes = (self.capability.owner, self.capability.home)
        answers = {}
        for home in reversed(homes) if candidate_first else homes:
            answers[home] = await self.asker.ask(home, request, token)
        return answers[homes[0]], answers[homes[1]]


class _Stale(Exception):
    """The candidate lacks what the control has, and didn't get it in time."""


def _before_the_candidate(
    given: Answer | None, control: Answer, control_home: str, candidate_first: bool
) -> Answer | None:
    """An answer of the control from before the candidate was asked, if there is one."""
    if given is None:
        return None if candidate_first else control
    return given if given.home == control_home else None


def _wavering(
    judged: tuple[Judged, ...], earlier: Answer | None, later: Answer, moved: set[str]
) -> tuple[Judged, ...]:
    """What differed once, while the control stood still from before the candidate's answer to after it.

    It answers now so, now otherwise, and had every row; unless rows were written there and back meanwhile,
    as when one product leaves a page by its price and the next one returns. A control that moved at all, be
    it by a clock, proves nothing.
    """
    if earlier is None or moved or _paths(earlier, later):
        return ()
    return tuple(one for one in judged if one.verdict == "different")


def _paths(first: Answer, second: Answer) -> set[str]:
    """Where the control differs from itself."""
    return {one.path for one in differences(first, second)}
