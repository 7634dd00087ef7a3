"""Whether versions may be routed to: pure functions from what the ledger knows to a verdict with its reasons.

Unknown, missing and broken mean no. A provider's homes must *all* pass what its deployed consumers ask: the
service, so that it can be routed to, and the monolith, so that the way back is safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strangler.contracts.ledger import Published, Result

VERIFY = "`strangler contracts verify` finds out"
AGAIN = "Correct it, or the pact, and verify again"


@dataclass(frozen=True)
class Verdict:
    """Whether one provider's homes may be routed to in these versions, and why not, or on what evidence."""

    provider: str
    deployable: bool
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The first reason, and how many more there are."""
        first, others = self.reasons[0], len(self.reasons) - 1
        return f"{first} And {others} more: `strangler contracts can-i-deploy`." if others else first


def decide(
    provider: str,
    homes: Sequence[str],
    versions: Mapping[str, str | None],
    consumers: Mapping[str, str],
    published: Sequence[Published],
    results: Sequence[Result],
) -> Verdict:
    """The verdict on a provider.

    `homes` answer for it; `versions` has the version of every home, None or "" where nobody knows it;
    `consumers` maps each consumer to the home that it is deployed with.
    """
    reasons = [
        f"Nobody knows which version of {home} it is about: the home doesn't say."
        for home in dict.fromkeys([*homes, *consumers.values()])
        if not versions.get(home)
    ]
    asked: list[Published] = []
    for consumer, home in consumers.items():
        theirs = [one for one in published if (one.consumer, one.version) == (consumer, versions.get(home))]
        if not theirs and versions.get(home):
            reasons.append(
                f"No pact of {consumer} is recorded for {home} {versions[home]}, with which it is deployed; "
                f"{VERIFY}."
            )
        asked += [one for one in theirs if one.provider == provider]
    if not asked:
        reasons.append(f"No consumer of {provider} is recorded, so nothing is known to hold; {VERIFY}.")
    for pact in asked:
        reasons += filter(None, (_objection(pact, home, versions.get(home), results) for home in homes))
    if reasons:
        return Verdict(provider, False, tuple(reasons))
    return Verdict(provider, True, (_evidence(asked, homes, versions, results),))


def _objection(pact: Published, home: str, version: str | None, results: Sequence[Result]) -> str | None:
    """What speaks against a home in a version, by one pact; None if nothing does."""
    if not version:
        return None  # said already
    result = _of(pact, home, version, results)
    what = f"{pact.consumer}'s pact with {pact.provider}"
    if result is None:
        return f"{home} {version} was never verified against {what} ({pact.hash}); {VERIFY}."
    if not result.interactions:
        return f"When {home} {version} was verified against {what}, nothing ran; {VERIFY}."
    if result.failed:
        first, wrong = next(iter(result.failed.items()))
        more = f", and {len(result.failed) - 1} more" if len(result.failed) > 1 else ""
        said = wrong[0].rstrip(".") if wrong else "it failed"
        return f"{home} {version} breaks {what}: {first}{more} ({said}). {AGAIN}."
    return None


def _of(pact: Published, home: str, version: str, results: Sequence[Result]) -> Result | None:
    wanted = (pact.consumer, pact.provider, pact.hash, home, version)
    return next((r for r in results if (r.consumer, r.provider, r.hash, r.home, r.version) == wanted), None)


def _evidence(
    asked: Sequence[Published],
    homes: Sequence[str],
    versions: Mapping[str, str | None],
    results: Sequence[Result],
) -> str:
    found = [_of(pact, homes[0], versions[homes[0]] or "", results) for pact in asked]
    count = sum(one.interactions for one in found if one)
    who = " and ".join(f"{home} {versions[home]}" for home in homes)
    whose = " and ".join(dict.fromkeys(pact.consumer for pact in asked))
    each = "each pass" if len(homes) > 1 else "passes"
    return f"{who} {each} the {count} interactions that {whose} need{'' if len(asked) > 1 else 's'}."
