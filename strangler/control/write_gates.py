"""What a move of ownership is held to besides: that no write of anybody's would be lost, or refused for ever.

Pure functions from facts to verdicts, like those of `gates`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence

from strangler.config import Capability
from strangler.control import gates
from strangler.control.facts import Facts, Ownership
from strangler.control.gates import Gate

NAMED = 3  # of what holds; the others are counted


def boundary(capability: Capability, facts: Facts) -> Gate:
    """No foreign-key constraint joins the tables that move to those that stay."""
    seen = facts.ownership
    if seen is None or seen.unknown:
        return _unknown("boundary", seen)
    if seen.foreign_keys:
        return Gate(
            "boundary",
            False,
            f"{_some(seen.foreign_keys)}. Make each an id with a rule of its own (db_constraint=False): "
            "protect by asking, cascade or null by event.",
        )
    return Gate("boundary", True, "No foreign key crosses into the tables that move, or out of them.")


def owner(capability: Capability, facts: Facts) -> Gate:
    """Both homes agree on who owns the rows, and no switch is under way."""
    seen = facts.ownership
    if seen is None or seen.unknown:
        return _unknown("owner", seen)
    return Gate("owner", seen.settled, seen.sentence)


def crossings(capability: Capability, facts: Facts) -> Gate:
    """For the declared time nobody but the context itself has written or locked its rows."""
    seen, quiet = facts.ownership, capability.switch.quiet
    if seen is None or seen.unknown:
        return _unknown("crossings", seen)
    if seen.recorded_for is None:
        return Gate(
            "crossings", False, "Who else writes these rows isn't recorded, so nothing is known of it."
        )
    if seen.crossings:
        return Gate(
            "crossings",
            False,
            f"{_some(seen.crossings)}. Each must become a call of {capability.home}'s API, a step of a saga "
            "or an event before the rows move.",
        )
    if seen.recorded_for < quiet:
        return Gate(
            "crossings",
            False,
            f"Nobody else has written these rows in the {seen.recorded_for:,.0f} s since it is recorded; "
            f"{quiet:,.0f} s are asked for.",
        )
    return Gate("crossings", True, f"Nobody else has written or locked these rows for {quiet:,.0f} s.")


def holders(capability: Capability, facts: Facts) -> Gate:
    """No old and no prepared transaction holds a table that the fence would have to wait for."""
    seen = facts.ownership
    if seen is None or seen.unknown:
        return _unknown("holders", seen)
    if seen.holders:
        return Gate("holders", False, f"{_some(seen.holders)}: the fence would wait for it. End it.")
    return Gate("holders", True, "No old and no prepared transaction holds these tables.")


def soak(capability: Capability, facts: Facts) -> Gate:
    """The new owner has owned for the declared time."""
    needed, stood = capability.switch.soak, facts.stood
    if stood is None:
        return Gate("soak", False, "Since when it is switched isn't known.")
    sentence = f"Switched for {_time(stood)}, {_time(needed)} asked for."
    return Gate("soak", stood >= needed, sentence)


def others(capability: Capability, facts: Facts) -> Gate:
    """Every capability that has one of these tables is switched too."""
    if facts.behind is None:
        return Gate("others", False, "Where the other capabilities stand isn't known.")
    if facts.behind:
        return Gate(
            "others",
            False,
            f"Cannot complete, because not everything is switched yet: {', '.join(facts.behind)}.",
        )
    return Gate("others", True, "Every capability with these tables is switched.")


def unused(capability: Capability, facts: Facts) -> Gate:
    """Nobody reads the old tables any more, and no view or foreign key names them."""
    if facts.references is None:
        return Gate("unused", False, f"Whether {capability.owner} still uses its tables isn't known.")
    if facts.references:
        return Gate("unused", False, f"{capability.owner} still uses its tables: {_some(facts.references)}.")
    return Gate("unused", True, f"Nothing at {capability.owner} names or reads these tables any more.")


def _unknown(name: str, seen: Ownership | None) -> Gate:
    return Gate(name, False, (seen and seen.unknown) or "Who owns the rows isn't known.")


def _some(found: Sequence[str]) -> str:
    more = f"; and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return "; ".join(found[:NAMED]) + more


def _time(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))


Check = Callable[[Capability, Facts], Gate]

GATES: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("monolith", "replicate"): (gates.service, gates.gateway, gates.tables, boundary),
    ("replicate", "switched"): (
        gates.service,
        gates.gateway,
        gates.contracts,
        gates.follows,
        gates.rows,
        owner,
        crossings,
        holders,
    ),
    # The way back is a switch as well; it must not begin where it couldn't end.
    ("switched", "replicate"): (gates.gateway, gates.follows, owner, holders),
    ("switched", "complete"): (
        gates.service,
        gates.gateway,
        gates.follows,
        gates.rows,
        owner,
        others,
        soak,
        unused,
    ),
}
