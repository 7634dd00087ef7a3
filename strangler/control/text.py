"""What the verbs of the control plane print for people; colours only where a terminal shows them."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterable, Iterator

import click

from strangler.control.effects import Effect, StopFollowing, describe_record
from strangler.control.gates import Gate, behind, counted_from, percent, roles, verified, why_not_following
from strangler.control.phases import (
    COMPLETE,
    MONOLITH,
    REPLICATE,
    Direction,
    Phase,
    direction,
    meaning,
    verb,
)
from strangler.control.plan import Plan
from strangler.control.status import Status
from strangler.control.store import Transition

WIDTH = 110


def moment(when: datetime.datetime) -> str:
    """A time of day that needs no guessing."""
    return f"{when.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def status(seen: Status) -> str:
    """Everything about one capability, the next command last."""
    name, standing = seen.capability.name, seen.standing
    lines = [click.style(f"{name} is at {standing.phase}", bold=True) + _since(seen)]
    lines += _row("", f"{_meaning(seen, standing.phase)}.")
    lines += _row("wanted", _wanted(seen))
    for health in seen.homes:
        lines += _row(
            health.home, f"{'Ready' if health.ready else 'NOT READY'}: {health.detail}.", not health.ready
        )
    lines += _gateway(seen)
    lines += _ownership(seen)
    lines += _following(seen)
    if seen.evidence:
        lines += _row("answers", _evidence(seen))
    lines += _guard(seen)
    if seen.unfinished:
        lines += _unfinished(seen.unfinished, seen)
    elif seen.next:
        lines += _row("next", f"{seen.next}: {_meaning(seen, seen.next)}.")
        lines += _gates(seen.gates, "            ")
        lines += _row("", _next_command(seen))
    elif standing.phase == COMPLETE:
        lines += _row("next", "Nothing: it has moved for good.")
    else:
        lines += _row("next", f"Nothing: it has moved. Back: `strangler reverse {name}`.")
    return "\n".join(lines)


def plan(one: Plan) -> str:
    """The gates with their evidence, the effects in order, and the command that does it."""
    lines = [
        click.style(f"{one.capability}: {one.origin} -> {one.target}", bold=True)
        + f", from revision {one.revision}"
    ]
    if one.gates:
        lines += ["  Gates", *_gates(one.gates, "    ")]
    lines += ["  Effects", *_effects(one.effects)]
    if one.held:
        count = "A gate holds" if len(one.held) == 1 else f"{len(one.held)} gates hold"
        forward = command(one)
        waits = f" `{forward} --wait 60` waits for it." if forward.startswith("strangler apply") else ""
        lines.append(f"  {count} this move.{waits}")
    else:
        lines.append(f"  To do this: `{command(one)}`.")
    return "\n".join(lines)


def command(one: Plan) -> str:
    """What to type to carry out a plan."""
    cancels = any(isinstance(effect, StopFollowing) for effect in one.effects)
    return f"strangler {verb(one.capability, one.origin, one.target, cancels=cancels)}"


def done(one: Transition) -> str:
    """What a transition did, and the way back."""
    lines = [click.style(f"{one.capability}: {one.origin} -> {one.target}", bold=True)]
    lines += [f"  {_mark(True)} {record.detail}" for record in one.effects]
    back = ""
    if one.target == COMPLETE:
        back = " No way leads back."
    elif direction(one.origin, one.target) is Direction.FORWARD:
        back = f" Back: `strangler {_back(one.capability, one.target, one.origin)}`."
    lines.append(f"  Done in {one.seconds:.2f} s; this is revision {one.revision}.{back}")
    return "\n".join(lines)


def _back(name: str, phase: Phase, to: Phase) -> str:
    """The command that leads from a phase back to another, or the first of them."""
    if phase == REPLICATE:
        return f"cancel {name}"
    return f"reverse {name}" if to == REPLICATE else f"reverse {name} --to {to}"


def history(transitions: Iterable[Transition]) -> str:
    """Who moved what, when, and what came of each effect; the latest first."""
    lines = []
    for one in transitions:
        end = f"{one.state} after {one.seconds:.2f} s" if one.seconds is not None else "NOT FINISHED"
        title = click.style(f"#{one.id}  {one.capability}: {one.origin} -> {one.target}", bold=True)
        lines.append(f"{title}  {end}  {moment(one.started)}, by {one.by}")
        if one.because:
            lines += _wrapped(f"because: {one.because}", "    ")
        for record in one.effects:
            effect = describe_record(record.kind, record.arguments)
            lines += _wrapped(
                f"{record.state}: {effect}" + (f": {record.detail}" if record.detail else ""), "    "
            )
        if one.state == "undone":
            lines.append(f"    {one.detail}")
    return "\n".join(lines) or "Nothing has been moved yet."


def _since(seen: Status) -> str:
    standing = seen.standing
    if standing.since is None:
        return ", and has never been moved"
    return f" since {moment(standing.since)}, by {standing.by} (revision {standing.revision})"


def _wanted(seen: Status) -> str:
    current, wanted, name = seen.standing.phase, seen.capability.phase, seen.capability.name
    match direction(current, wanted):
        case Direction.SAME:
            return f"{wanted}, as it is."
        case Direction.FORWARD:
            return f"{wanted}."
        case Direction.BACK if current == COMPLETE:
            return f"{wanted}, and it is past it."
        case Direction.BACK:
            by_way_of = REPLICATE if seen.capability.kind == "write" else wanted
            return f"{wanted}, which lies behind it: `strangler {_back(name, current, by_way_of)}`."


def _gateway(seen: Status) -> Iterator[str]:
    view, name, phase = seen.gateway, seen.capability.name, seen.standing.phase
    refused = f", {view.rejected} refused so far" if view.rejected else ""
    if view.agrees:
        return _row("gateway", f"Has taken revision {view.taken}, as recorded{refused}.")
    if view.taken is None:
        return _row("GATEWAY", view.detail, True)
    what = f"`strangler reverse {name} --to {phase}` publishes {phase} again"
    if seen.unfinished:
        what = "a move is unfinished, see below"
    return _row(
        "GATEWAY",
        f"DISAGREES: it has taken revision {view.taken}, but the recorded phases come to {view.recorded}"
        f"{refused}; {what}.",
        True,
    )


def _meaning(seen: Status, phase: Phase) -> str:
    one = seen.capability
    return meaning(phase, one.owner, one.home, one.kind)


def _ownership(seen: Status) -> Iterator[str]:
    """Who owns the rows, loud where the homes don't agree."""
    found = seen.ownership
    if found is None or seen.standing.phase == COMPLETE:
        return iter(())
    settled = found.settled and not found.unknown
    return _row("owner" if settled else "OWNER", found.unknown or found.sentence, not settled)


def _following(seen: Status) -> Iterator[str]:
    """How the rows follow, and what the last verification found; nothing where they don't and needn't."""
    found, capability = seen.following, seen.capability
    if found is None or seen.standing.phase == COMPLETE:
        return
    if not (found.ordered or found.unknown or seen.standing.phase != MONOLITH):
        return
    follower, followed = roles(capability, seen.ownership)
    if reason := why_not_following(capability, found, follower, followed):
        yield from _row("ROWS", reason, True)
    elif found.lag is not None and found.word is not None:
        yield from _row(
            "rows",
            f"{follower} follows {followed}, {behind(found.lag)} behind; the follower spoke "
            f"{found.word:.1f} s ago.",
        )
    if found.round is not None and found.age is not None:
        yield from _row("", verified(found.round, found.age), not found.round.equal)


def _evidence(seen: Status) -> str:
    found = seen.evidence
    assert found is not None
    share = "nothing" if found.coverage is None else percent(found.coverage)
    return (
        f"{found.captured:,} captured, {found.comparable:,} compared ({share}), {found.dropped:,} dropped; "
        f"{found.different:,} differ, {found.excused:,} excused"
        f"{f', {found.stale:,} stale' if found.stale else ''}. This {counted_from(found)}."
    )


def _guard(seen: Status) -> Iterator[str]:
    """What the guard has taken back, whether it is there, and what it last came to."""
    if back := seen.taken_back:
        yield from _row(
            "GUARD", f"Took it back from {back.origin} at {moment(back.started)}. {back.because}", True
        )
    if seen.standing.phase == MONOLITH or seen.capability.kind != "read":  # it looks at answers
        return
    found = seen.guard
    if found is None or not found.lives:
        since = f"since {moment(found.at)}" if found else "so far"
        yield from _row(
            "GUARD", f"Hasn't looked {since}: nothing is taken back by itself. See `strangler ps`.", True
        )
    else:
        yield from _row("guard", f"{found.sentence} Looked {found.ago:.0f} s ago.")


def _unfinished(one: Transition, seen: Status) -> Iterator[str]:
    if seen.operator:
        return _row(
            "moving", f"To {one.target}, by {seen.operator.name} since {moment(seen.operator.since)}."
        )
    finish = f"`strangler {one.again}` finishes it{one.or_undo}"
    return _row(
        "CUT SHORT",
        f"The move from {one.origin} to {one.target}, begun by {one.by} at {moment(one.started)}: {finish}.",
        True,
    )


def _next_command(seen: Status) -> str:
    name = seen.capability.name
    held = [gate.name for gate in seen.gates if not gate.passed]
    assert seen.next is not None
    next_ = verb(name, seen.standing.phase, seen.next)
    if not held:
        return f"Ready: `strangler {next_}`."
    by = f"{', '.join(held[:-1])} and {held[-1]}" if len(held) > 1 else held[0]
    if seen.next == COMPLETE:
        return f"Held by {by}. Until then: `strangler reverse {name}`."
    return f"Held by {by}. `strangler {next_} --wait 60` waits."


def _gates(gates: Iterable[Gate], indent: str) -> Iterator[str]:
    for gate in gates:
        first, *rest = _wrapped(gate.sentence, indent + " " * 12)
        yield f"{indent}{_mark(gate.passed)} {gate.name:<9} {first.strip()}"
        yield from rest


def _effects(effects: Iterable[Effect]) -> Iterator[str]:
    for number, effect in enumerate(effects, 1):
        first, *rest = _wrapped(effect.describe(), " " * 7)
        yield f"    {number}. {first.strip()}"
        yield from rest


def _row(name: str, sentence: str, loud: bool = False) -> Iterator[str]:
    first, *rest = _wrapped(sentence, " " * 12)
    yield (
        click.style(f"  {name:<9} {first.strip()}", fg="red", bold=True)
        if loud
        else f"  {name:<9} {first.strip()}"
    )
    yield from rest


def _wrapped(sentence: str, indent: str) -> list[str]:
    return textwrap.wrap(
        sentence,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _mark(passed: bool) -> str:
    return click.style("✓", fg="green") if passed else click.style("✗", fg="red", bold=True)
