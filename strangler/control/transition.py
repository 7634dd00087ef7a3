"""Moving a capability, forward or back: the intent is recorded first, then each effect is applied.

Killed at any point, the next `advance` goes on, and `take_back` always leads back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import psycopg

from strangler.config import Capability, Config
from strangler.control import plan as plans
from strangler.control.desk import Desk, at_desk
from strangler.control.effects import ROUTING, Context, Effect, SwitchStep, from_record, routed, to_record
from strangler.control.errors import ControlDatabaseAway, GatesHeld, PlanOutdated, TransitionFailed
from strangler.control.gates import reverse
from strangler.control.judging import judge
from strangler.control.phases import (
    COMPLETE,
    MONOLITH,
    REPLICATE,
    SWITCHED,
    Direction,
    Phase,
    check_back,
    check_forward,
    direction,
)
from strangler.control.plan import Plan
from strangler.control.store import Standing, Transition
from strangler.control.surroundings import Progress, Surroundings
from strangler.errors import StranglerError, Unfinished, UsageError
from strangler.run.system import System

BETWEEN_LOOKS = 1.0  # seconds

Begun = Callable[[Effect], None]
Look = Callable[[Plan], None]


def advance(
    config: Config,
    system: System,
    capability: str,
    phase: Phase,
    *,
    by: str,
    wait: float = 0,
    surroundings: Surroundings | None = None,
    progress: Progress | None = None,
) -> Transition | None:
    """Move a capability forward to `phase`, which must be its next one.

    Waits up to `wait` seconds for the gates. Returns what was done, or None if it was there already. Raises
    GatesHeld with the gates and their evidence, OperatorBusy, TransitionFailed, ControlDatabaseAway, and
    UsageError for a phase that isn't the next one.
    """
    with at_desk(config, system, by, surroundings) as desk:
        return advance_at(desk, capability, phase, wait=wait, progress=progress)


def take_back(
    config: Config,
    system: System,
    capability: str,
    phase: Phase = MONOLITH,
    *,
    by: str,
    surroundings: Surroundings | None = None,
) -> Transition | None:
    """Take a capability back to `phase`, at once: no gates. Undoes a transition that was cut short.

    Returns what was done, or None if it stands there already and the gateway routes so. Raises as `advance`
    does, but for GatesHeld.
    """
    with at_desk(config, system, by, surroundings) as desk:
        return take_back_at(desk, capability, phase)


def draw(desk: Desk, name: str, target: Phase, *, named: bool = True) -> Plan | None:
    """The plan of the move to `target`, or None where there is nothing to do; takes no lock, changes nothing.

    `named` says that a person named this phase; without that nothing goes forward again after a way back.
    The rest of a transition that was cut short is a plan like any other. OperatorBusy while it goes on.
    """
    if desk.store.unfinished(name):
        desk.store.check_free(name)
    return _draw(desk, desk.capability(name), target, named)[0]


def advance_at(
    desk: Desk,
    name: str,
    target: Phase,
    *,
    named: bool = True,
    wait: float = 0,
    saved: Plan | None = None,
    look: Look | None = None,
    begun: Begun | None = None,
    progress: Progress | None = None,
) -> Transition | None:
    """`advance` at a desk. `look` is told of every plan held while waiting, `begun` of every effect.

    `named` as in `draw`.
    """
    capability = desk.capability(name)
    deadline = time.monotonic() + wait
    while True:
        _wait_for_gates(desk, capability, target, named, deadline, look)
        with desk.store.operating(name, desk.by):
            if saved:
                check_saved(desk, saved)
            recovered = recover_switch(desk, capability, begun)
            if recovered and recovered.target == target:
                return recovered
            plan, unfinished = _draw(desk, capability, target, named)
            if plan is None:
                return None
            if saved and plan.effects != saved.effects:
                raise PlanOutdated(
                    f"The effects of this plan of {name} would be others now: strangler.toml has changed, or "
                    "a switch that was undone has used up the epoch. Nothing was changed; make a new plan."
                )
            if not plan.held:
                transition = unfinished or _begin(desk, plan)
                return _run(desk, transition, plan, begun, progress)
            if time.monotonic() >= deadline:
                raise GatesHeld(plan)
        # A gate that let pass a moment ago holds again: evidence goes on while it is looked at.
        _until_next_look(deadline)


def _wait_for_gates(
    desk: Desk, capability: Capability, target: Phase, named: bool, deadline: float, look: Look | None
) -> None:
    """Return when nothing holds, or at the deadline. Takes no lock, so that somebody else can always take the
    capability back meanwhile."""
    while time.monotonic() < deadline:
        unfinished = desk.store.unfinished(capability.name)
        if unfinished and first_step(unfinished):
            return  # whoever gets the lock ends it: nothing else would, nor would its gates ever pass
        plan = _draw(desk, capability, target, named)[0]
        if plan is None or not plan.held:
            return
        if look:
            look(plan)
        _until_next_look(deadline)


def _until_next_look(deadline: float) -> None:
    time.sleep(max(0.0, min(BETWEEN_LOOKS, deadline - time.monotonic())))


def take_back_at(
    desk: Desk,
    name: str,
    target: Phase = MONOLITH,
    *,
    begun: Begun | None = None,
    at_revision: int | None = None,
    because: str = "",
) -> Transition | None:
    """`take_back` at a desk. Does nothing where `at_revision` is given and the capability is at another one;
    `because` is the evidence, for the history."""
    capability = desk.capability(name)
    with desk.store.operating(name, desk.by):
        if at_revision not in (None, desk.store.standing(name).revision):
            return None
        recovered = recover_switch(desk, capability, begun)
        if recovered and recovered.target == target:
            return recovered
        plan = draw_back(desk, name, target)
        if plan is None:
            return None
        if plan.held:
            raise GatesHeld(plan)
        transition = _begin(desk, plan, undoes=desk.store.unfinished(capability.name), because=because)
        return _run(desk, transition, plan, begun, None)


def cancel_at(desk: Desk, name: str, *, begun: Begun | None = None) -> Transition:
    """Back to the monolith, and the rows follow no more; UsageError once the capability is switched.

    Raises as `take_back` does. Cut short, it is cancelled again.
    """
    with desk.store.operating(name, desk.by):
        recover_switch(desk, desk.capability(name), begun)
        plan = draw_cancel(desk, name)
        transition = _begin(desk, plan, undoes=desk.store.unfinished(name))
        return _run(desk, transition, plan, begun, None)


def complete_at(desk: Desk, name: str, *, begun: Begun | None = None) -> Transition | None:
    """The point of no return; None where it is passed already. Raises as `advance` does."""
    with desk.store.operating(name, desk.by):
        recover_switch(desk, desk.capability(name), begun)
        plan = draw_complete(desk, name)
        if plan is None:
            return None
        if plan.held:
            raise GatesHeld(plan)
        unfinished = desk.store.unfinished(name)
        return _run(desk, unfinished or _begin(desk, plan), plan, begun, None)


def draw_complete(desk: Desk, name: str) -> Plan | None:
    """The plan of completing; None where that is done. UsageError for what can't be completed."""
    capability, standing = desk.capability(name), desk.store.standing(name)
    if capability.kind != "write":
        raise UsageError(
            f"{name} owns no rows: complete the writes of {capability.context}. Nothing was changed."
        )
    if standing.phase == COMPLETE:
        return None
    if standing.phase != SWITCHED:
        raise UsageError(
            f"Cannot complete {name}, because it is at {standing.phase} and not switched yet. "
            "Nothing was changed."
        )
    if unfinished := desk.store.unfinished(name):
        if unfinished.target != COMPLETE:
            raise StranglerError(
                f"A move of {name} is unfinished: `strangler {unfinished.again}` first. Nothing was changed."
            )
        effects = tuple(from_record(one.kind, one.arguments) for one in unfinished.effects)
        return Plan(name, standing.phase, COMPLETE, standing.revision, (), effects)
    return plans.complete(capability, standing, desk.facts(capability, standing, COMPLETE))


def draw_cancel(desk: Desk, name: str) -> Plan:
    """The plan of cancelling; changes nothing."""
    capability, standing = desk.capability(name), desk.store.standing(name)
    if standing.phase in (SWITCHED, COMPLETE):
        raise UsageError(
            f"{name} is {standing.phase}, and its rows must follow while {capability.home} answers. Nothing "
            f"was changed; `strangler reverse {name}` takes it back first."
        )
    return plans.cancel(capability, standing)


def draw_back(desk: Desk, name: str, target: Phase) -> Plan | None:
    """The plan of the way back to `target`, or None where there is nothing to do; changes nothing."""
    capability = desk.capability(name)
    standing = desk.store.standing(name)
    check_back(name, standing.phase, target, capability.kind)
    if other := desk.completed_by(capability):
        raise UsageError(
            f"{other} is complete, so {capability.owner} has the tables of {name} no more. Nothing was "
            "changed."
        )
    if capability.kind == "write" and standing.phase != target:
        return _draw_switch_back(desk, capability, standing, target)
    settled = standing.phase == target and not desk.store.unfinished(name)
    return None if settled and desk.gateway().agrees else plans.back(capability, standing, target)


def _draw_switch_back(desk: Desk, capability: Capability, standing: Standing, target: Phase) -> Plan:
    """The switch in the other direction; UsageError where the way back is another verb's."""
    if standing.phase == REPLICATE:
        raise UsageError(
            f"{capability.name} replicates, and {capability.owner} owns its rows still. Nothing was changed; "
            f"`strangler cancel {capability.name}` gives the move up."
        )
    if target != REPLICATE:
        raise UsageError(
            f"{capability.name} goes back to replicate first, which gives its rows back. Use `strangler "
            f"reverse {capability.name}`, and then `strangler cancel {capability.name}`. Nothing was changed."
        )
    return plans.switch(capability, standing, target, desk.facts(capability, standing, target))


def recover_switch(desk: Desk, capability: Capability, begun: Begun | None) -> Transition | None:
    """End a switch that was cut short, as whoever holds the lock: returns it if it was finished.

    Where it has passed its commit point it is finished, everywhere else undone: then a new one, in an epoch
    of its own, can begin.
    """
    unfinished = desk.store.unfinished(capability.name)
    if not unfinished or not (step := first_step(unfinished)):
        return None
    if desk.surroundings.undo_switch(capability, step.origin, step.epoch):
        desk.store.finish(
            unfinished.id, "undone", f"cut short before its commit point, and undone by {desk.by}"
        )
        return None
    plan = Plan(
        capability.name, unfinished.origin, unfinished.target, unfinished.revision - 1, (),
        tuple(from_record(one.kind, one.arguments) for one in unfinished.effects),
    )  # fmt: skip
    return _run(desk, unfinished, plan, begun, None)


def route_to_owner(desk: Desk, name: str) -> bool:
    """Publish the routes of a switch that has passed its commit point, if the gateway lacks them.

    For whoever looks after switches whose operator is gone, or stopped: writes reach the owner again, and
    the rest waits for the next verb. Takes no lock, since a stopped operator may hold it, and so looks again
    afterwards: whoever has ended the switch meanwhile may have routed otherwise. Raises StranglerError where
    the gateway doesn't take them.
    """
    capability, left = desk.capability(name), desk.store.unfinished(name)
    step = left and first_step(left)
    owned = desk.ownership(capability) if step else None
    if not left or not step or not owned or not owned.settled or owned.owner != step.target:
        return False
    phases = routed(desk.config, desk.store)
    for other in desk.config.capabilities:
        moving = desk.store.unfinished(other)
        if moving and any(one.kind == "publish_routes" and one.state != "waiting" for one in moving.effects):
            phases[other] = moving.target
    phases[name] = left.target
    if desk.surroundings.gateway(phases).agrees:
        return False
    desk.surroundings.publish(phases)
    now = desk.store.unfinished(name)
    if now is None or now.id != left.id:
        desk.surroundings.publish(routed(desk.config, desk.store))
    return True


def first_step(transition: Transition) -> SwitchStep | None:
    """The step that a switch begins with; None for a transition that is none."""
    effects = (from_record(one.kind, one.arguments) for one in transition.effects)
    return next((one for one in effects if isinstance(one, SwitchStep)), None)


def check_saved(desk: Desk, saved: Plan) -> None:
    """Refuse a saved plan whose revision is no longer the capability's."""
    standing = desk.store.standing(saved.capability)
    if standing.revision != saved.revision or standing.phase != saved.origin:
        moved = ""
        if standing.since:
            moved = f", moved there by {standing.by} at {standing.since:%Y-%m-%d %H:%M:%S} UTC"
        raise PlanOutdated(
            f"This plan was made for revision {saved.revision} of {saved.capability} ({saved.origin}), which "
            f"is at revision {standing.revision} now ({standing.phase}{moved}). Nothing was changed; make a "
            "new plan."
        )


def _draw(
    desk: Desk, capability: Capability, target: Phase, named: bool = True
) -> tuple[Plan | None, Transition | None]:
    """The plan that leads to `target`, and the transition that it finishes, if one was cut short."""
    standing = desk.store.standing(capability.name)
    if unfinished := desk.store.unfinished(capability.name):
        return _rest(desk, capability, standing, unfinished, target), unfinished
    if standing.phase == target:
        again = None if desk.gateway().agrees else plans.back(capability, standing, target)
        return again, None
    check_forward(capability.name, standing.phase, target, capability.kind)
    plan = plans.forward(capability, standing, target, desk.facts(capability, standing, target))
    if not named and (last := taken_back(desk, capability.name)):
        plan = replace(plan, gates=(reverse(capability, last, target), *plan.gates))
    return plan, None


def taken_back(desk: Desk, name: str) -> Transition | None:
    """The way back that the capability came by, if it hasn't come forward since: what failed led nowhere."""
    phase = desk.store.standing(name).phase
    for last in desk.store.history(name):
        match direction(last.origin, last.target):
            case Direction.BACK if last.target == phase:
                return last
            case Direction.FORWARD if last.state == "done":
                return None
    return None


def _rest(
    desk: Desk, capability: Capability, standing: Standing, unfinished: Transition, target: Phase
) -> Plan:
    """The plan that finishes what was cut short: the recorded effects, applied again from the first."""
    begun = (
        f"{unfinished.by} at {unfinished.started:%Y-%m-%d %H:%M:%S} UTC was cut short. Nothing was changed"
    )
    if direction(unfinished.origin, unfinished.target) is not Direction.FORWARD:
        raise StranglerError(
            f"The way of {capability.name} back to {unfinished.target} begun by {begun}; "
            f"`strangler {unfinished.again}` finishes it."
        )
    if unfinished.target != target or target == COMPLETE:  # which has a verb of its own, and asks for a name
        raise StranglerError(
            f"The move of {capability.name} to {unfinished.target} begun by {begun}; "
            f"`strangler {unfinished.again}` finishes it{unfinished.or_undo}."
        )
    recorded = standing.revision == unfinished.revision
    before = Standing(
        capability.name, unfinished.origin, unfinished.revision - 1, standing.since, standing.by
    )
    # Once the phase is recorded, only the bookkeeping is left, and its evidence has only begun to count.
    facts = None if recorded else desk.facts(capability, before, target, unfinished)
    return Plan(
        capability=capability.name,
        origin=unfinished.origin,
        target=target,
        revision=before.revision,
        gates=judge(capability, unfinished.origin, target, facts) if facts else (),
        effects=tuple(from_record(one.kind, one.arguments) for one in unfinished.effects),
    )


def _begin(desk: Desk, plan: Plan, undoes: Transition | None = None, because: str = "") -> Transition:
    records = [to_record(effect) for effect in plan.effects]
    standing = desk.store.standing(plan.capability)
    return desk.store.begin(standing, plan.target, desk.by, records, undoes, because)


def _run(
    desk: Desk, transition: Transition, plan: Plan, begun: Begun | None, progress: Progress | None
) -> Transition:
    context = Context(desk.config, desk.store, desk.surroundings, desk.by, progress)
    with ExitStack() as until_recorded:
        locked = False
        for position, effect in enumerate(plan.effects):
            if isinstance(effect, ROUTING) and not locked:
                until_recorded.enter_context(desk.store.routing())
                locked = True
            if begun:
                begun(effect)
            desk.store.mark_effect(transition.id, position, "running")
            try:
                detail = effect.apply(context)
            except ControlDatabaseAway:
                raise  # nothing can be recorded; the transition stays unfinished, and status says so
            except Unfinished as error:
                desk.store.mark_effect(transition.id, position, "failed", str(error))
                raise TransitionFailed(
                    f"This failed: {effect.describe()}. {error} `strangler {transition.again}` goes on."
                ) from error
            except (StranglerError, psycopg.Error, OSError) as error:
                if step := first_step(transition):
                    raise _switch_failed(desk, transition, position, effect, step, error) from error
                raise _failed(desk, transition, position, effect, error) from error
            desk.store.mark_effect(transition.id, position, "done", detail)
        desk.store.finish(transition.id, "done")
    return desk.store.transition(transition.id)


def _switch_failed(
    desk: Desk, transition: Transition, position: int, effect: Effect, step: SwitchStep, error: Exception
) -> TransitionFailed:
    """Undo the switch, unless it has passed its commit point: then it stays to be finished."""
    capability = desk.capability(transition.capability)
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    desk.store.mark_effect(transition.id, position, "failed", reason)
    said = f"This failed: {effect.describe()}. {reason}."
    try:
        undone = desk.surroundings.undo_switch(capability, step.origin, step.epoch)
    except (StranglerError, psycopg.Error, OSError) as worse:
        return TransitionFailed(
            f"{said} Nor could the switch of {capability.name} be undone: {str(worse).rstrip('.')}. The "
            f"follower undoes it {capability.switch.fence:g} s after the fence was raised, unless it has "
            f"passed its commit point; `strangler status` says which, and `strangler {transition.again}` "
            "goes on."
        )
    if undone:
        desk.store.finish(transition.id, "failed", reason)
        return TransitionFailed(
            f"{said} The switch was undone: {step.origin} owns the rows of {capability.name}, as before. "
            f"`strangler {transition.again}` tries again."
        )
    return TransitionFailed(
        f"{said} By then {step.target} owned the rows of {capability.name}, so there is no way but forward: "
        f"`strangler {transition.again}` finishes it."
    )


def _failed(
    desk: Desk, transition: Transition, position: int, effect: Effect, error: Exception
) -> TransitionFailed:
    """Record the failure, and say in a sentence where that leaves the capability."""
    reason = " ".join(str(error).split()) or type(error).__name__
    desk.store.mark_effect(transition.id, position, "failed", reason)
    desk.store.finish(transition.id, "failed", reason)
    name, phase = transition.capability, desk.store.standing(transition.capability).phase
    return TransitionFailed(
        f"{name} is recorded at {phase}. This failed: {effect.describe()}. {reason.rstrip('.')}. "
        f"`strangler status` shows whether the gateway agrees; `strangler {transition.again}` tries again."
    )
