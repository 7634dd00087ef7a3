"""From the differences of one request to its verdict: what A/A excuses, what is declared, what stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from strangler.compare.ignores import Ignores
from strangler.compare.observation import Difference, Judged, Outcome


def judge(
    route: str, found: Iterable[Difference], noise: Collection[str], ignores: Ignores
) -> tuple[Judged, ...]:
    """A verdict for every difference of one request.

    `noise` holds the paths in which the control differed from itself when it was asked the same thing twice.
    A field is excused only on the request on which that was seen: an excuse for all would hide every bug.
    """
    judged = []
    for one in found:
        if one.path in noise:
            judged.append(Judged(one, "excused", "the control differs from itself here"))
        elif ignore := ignores.covering(route, one):
            judged.append(Judged(one, "ignored", ignore.reason))
        else:
            judged.append(Judged(one, "different"))
    return tuple(judged)


def outcome(judged: Collection[Judged]) -> Outcome:
    """The outcome of a request: its worst verdict."""
    verdicts = {one.verdict for one in judged}
    for worst in ("different", "excused", "ignored"):
        if worst in verdicts:
            return worst
    return "same"
