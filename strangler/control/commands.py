"""The verbs that move a capability: status, plan, apply, reverse, complete, cancel, history."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from strangler import config as configuration
from strangler.config import Config
from strangler.control import plan as plans
from strangler.control import text, transition
from strangler.control.desk import Desk, at_desk, operators_name
from strangler.control.effects import Effect
from strangler.control.errors import GatesHeld
from strangler.control.phases import (
    COMPLETE,
    MONOLITH,
    REPLICATE,
    SWITCHED,
    Direction,
    Phase,
    check_forward,
    direction,
    step_towards,
)
from strangler.control.plan import Plan
from strangler.control.progress import progress_bar
from strangler.control.status import look
from strangler.control.store import Transition
from strangler.control.transition import Begun, Look
from strangler.errors import ChangesPending, StranglerError, UsageError

as_json = click.option("--json", "in_json", is_flag=True, help="Print JSON instead of text.")


@click.command()
@click.argument("capability", required=False)
@as_json
@click.pass_context
def status(context: click.Context, capability: str | None, in_json: bool) -> None:
    """Show where every capability stands, what is true around it, and what comes next."""
    config = _config(context)
    names = _names(config, capability)
    with _desk(context, config) as desk:
        seen = [look(desk, name) for name in names]
    if in_json:
        _print_json([one.as_json() for one in seen])
    else:
        click.echo("\n\n".join(text.status(one) for one in seen))


@click.command()
@click.argument("capability", required=False)
@click.argument("phase", required=False)
@click.option("--check", is_flag=True, help="End with exit code 3 if there is something to do.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan to a file.")
@as_json
@click.pass_context
def plan(
    context: click.Context,
    capability: str | None,
    phase: str | None,
    check: bool,
    save: Path | None,
    in_json: bool,
) -> None:
    """Show the gates and the effects of an advance, to PHASE or towards the one that strangler.toml wants.

    A phase that lies behind is planned as well. That is a way back: of reads without gates, of writes by a
    switch.
    """
    config = _config(context)
    names, wanted = _names(config, capability), Phase.parse(phase) if phase else None
    if save and not capability:
        raise UsageError("A saved plan moves one capability: name it before --save. Nothing was changed.")
    with _desk(context, config) as desk:
        drawn = {name: _draw(desk, name, wanted) for name in names}
        where = {name: desk.store.standing(name).phase for name in names}
    if in_json:
        _print_json([one.as_json() for one in drawn.values() if one])
    else:
        click.echo(
            "\n\n".join(
                text.plan(one) if one else f"{name} is at {where[name]}, and there is nothing to do."
                for name, one in drawn.items()
            )
        )
    if save and (one := drawn[names[0]]):
        try:
            save.write_text(json.dumps(one.as_json(), indent=2) + "\n")
        except OSError as error:
            raise UsageError(f"{save} can't be written: {error.strerror}. Nothing was changed.") from None
        click.echo(f"Saved as {save}; `strangler apply --plan {save}` does it.", err=True)
    if check and any(drawn.values()):
        pending = ", ".join(name for name, one in drawn.items() if one)
        raise ChangesPending(f"There is something to do for {pending}. Nothing was changed.")


@click.command()
@click.argument("capability", required=False)
@click.argument("phase", required=False)
@click.option("--dry-run", is_flag=True, help="Print the gates and the effects, and change nothing.")
@click.option(
    "--plan",
    "saved",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Do what a saved plan says; refused when the capability has been moved since.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for the gates to pass, then advance.",
)
@as_json
@click.pass_context
def apply(
    context: click.Context,
    capability: str | None,
    phase: str | None,
    dry_run: bool,
    saved: Path | None,
    wait: float,
    in_json: bool,
) -> None:
    """Advance a capability to PHASE, or one phase towards the one that strangler.toml wants.

    Without CAPABILITY, every capability is advanced by one phase at most. Exit code 4 if a gate holds.
    """
    config = _config(context)
    wanted, recipe = Phase.parse(phase) if phase else None, None
    if saved:
        if capability:
            raise UsageError("--plan says itself which capability moves where. Nothing was changed.")
        recipe = plans.read(saved.read_text(errors="replace"))
        capability, wanted = recipe.capability, recipe.target
    names = _names(config, capability)
    with _desk(context, config) as desk:
        advance = _Advance(desk, dry_run, recipe, wait, in_json)
        if capability:
            advance(capability, wanted)
        else:
            _each(names, lambda name: advance(name, None))


@dataclasses.dataclass(frozen=True)
class _Advance:
    """One advance as the options ask for it, told on stdout when it is done and on stderr meanwhile."""

    desk: Desk
    dry_run: bool
    saved: Plan | None
    wait: float
    in_json: bool

    def __call__(self, name: str, phase: Phase | None) -> None:
        target = phase or _towards_wanted(self.desk, name)
        if self.dry_run:
            return self._rehearse(name, target, phase is not None)
        with _watching(self.in_json) as (held, begun, copied):
            done = transition.advance_at(
                self.desk,
                name,
                target,
                named=phase is not None,
                wait=self.wait,
                saved=self.saved,
                look=held,
                begun=begun,
                progress=copied,
            )
        _show(self.desk, name, done, self.in_json)
        wanted = self.desk.config.capability(name).phase
        if phase is None and done and direction(target, wanted) is Direction.FORWARD:
            click.echo(
                f"strangler.toml wants {wanted}. One phase at a time: "
                f"`strangler {'complete' if target == SWITCHED else 'apply'} {name}` goes on to "
                f"{step_towards(target, wanted, self.desk.config.capability(name).kind)}.",
                err=True,
            )

    def _rehearse(self, name: str, target: Phase, named: bool) -> None:
        """Print the very effects that would be applied."""
        if self.saved:
            transition.check_saved(self.desk, self.saved)
        plan = transition.draw(self.desk, name, target, named=named)
        if self.in_json:
            _print_json(plan and plan.as_json())
        elif plan:
            click.echo(f"{text.plan(plan)}\n  Nothing was changed: this is a dry run.")
        else:
            click.echo(f"{name} is at {target} already. Nothing to do.")
        if plan and plan.held:
            raise GatesHeld(plan)


@click.command()
@click.argument("capability")
@click.option(
    "--to", "phase", metavar="PHASE", help="How far back.  [default: monolith; replicate for writes]"
)
@click.option("--dry-run", is_flag=True, help="Print the gates and the effects, and change nothing.")
@as_json
@click.pass_context
def reverse(context: click.Context, capability: str, phase: str | None, dry_run: bool, in_json: bool) -> None:
    """Take a capability back. Undoes an advance that was cut short, too.

    Reads go back at once, by no gate. Of writes, ownership moves back as it came: by a switch, which loses
    nothing that was written meanwhile. Exit code 4 if a gate holds that.
    """
    config = _config(context)
    back = REPLICATE if config.capability(capability).kind == "write" else MONOLITH
    target = Phase.parse(phase) if phase else back
    with _desk(context, config) as desk:
        if not dry_run:
            return _show(desk, capability, transition.take_back_at(desk, capability, target), in_json)
        drawn = transition.draw_back(desk, capability, target)
    if in_json:
        _print_json(drawn and drawn.as_json())
    elif drawn:
        click.echo(f"{text.plan(drawn)}\n  Nothing was changed: this is a dry run.")
    else:
        click.echo(f"{capability} is at {target} already. Nothing to do.")
    if drawn and drawn.held:
        raise GatesHeld(drawn)


@click.command()
@click.argument("capability")
@click.option("--dry-run", is_flag=True, help="Print the gates and the effects, and change nothing.")
@click.option("--confirm", metavar="CAPABILITY", help="Its name once more, where nobody can be asked for it.")
@as_json
@click.pass_context
def complete(
    context: click.Context, capability: str, dry_run: bool, confirm: str | None, in_json: bool
) -> None:
    """Archive and drop what the first owner had: from there on no way leads back.

    Only when every capability with these tables is switched, verified and soaked, and nobody reads the old
    tables any more. Exit code 4 if a gate holds.
    """
    config = _config(context)
    config.capability(capability)
    with _desk(context, config) as desk:
        drawn = transition.draw_complete(desk, capability)
        if drawn is None:
            click.echo(f"{capability} is complete already. Nothing to do.")
            return
        if drawn.held:
            raise GatesHeld(drawn)
        if dry_run:
            _print_json(drawn.as_json()) if in_json else click.echo(
                f"{text.plan(drawn)}\n  Nothing was changed: this is a dry run."
            )
            return
        if confirm is None:
            click.echo(text.plan(drawn), err=True)
            confirm = click.prompt(f"To do this, type {capability}", err=True)
        if confirm != capability:
            raise UsageError(f"{confirm!r} isn't {capability!r}. Nothing was changed.")
        _show(desk, capability, transition.complete_at(desk, capability), in_json)


@click.command()
@click.argument("capability")
@click.option("--dry-run", is_flag=True, help="Print the effects, and change nothing.")
@as_json
@click.pass_context
def cancel(context: click.Context, capability: str, dry_run: bool, in_json: bool) -> None:
    """Give a move up: back to the monolith, and the rows follow no more.

    What was copied stays at the new home, and nothing is captured at the owner any more. Refused once the
    capability is switched.
    """
    config = _config(context)
    config.capability(capability)
    with _desk(context, config) as desk:
        if not dry_run:
            return _show(desk, capability, transition.cancel_at(desk, capability), in_json)
        drawn = transition.draw_cancel(desk, capability)
    if in_json:
        _print_json(drawn.as_json())
    else:
        click.echo(f"{text.plan(drawn)}\n  Nothing was changed: this is a dry run.")


@click.command()
@click.argument("capability", required=False)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the latest first."
)
@as_json
@click.pass_context
def history(context: click.Context, capability: str | None, limit: int, in_json: bool) -> None:
    """Show who moved what, when, and what came of it."""
    config = _config(context)
    if capability:
        config.capability(capability)
    with _desk(context, config) as desk:
        found = desk.store.history(capability, limit)
    if in_json:
        _print_json(found)
    else:
        click.echo(text.history(found))


# ── What the verbs share ─────────────────────────────────────────────────────────────────────────


def _config(context: click.Context) -> Config:
    """strangler.toml; a desk that a test has laid comes with its own."""
    return context.obj.config if isinstance(context.obj, Desk) else configuration.load(context.obj)


@contextmanager
def _desk(context: click.Context, config: Config) -> Iterator[Desk]:
    """A desk at the running system, or at one that is started for this."""
    if isinstance(context.obj, Desk):
        yield context.obj
        return
    from strangler.run.session import running_system

    with running_system(config) as system, at_desk(config, system, operators_name()) as desk:
        yield desk


def _names(config: Config, capability: str | None) -> list[str]:
    if capability:
        return [config.capability(capability).name]
    if not config.capabilities:
        raise UsageError(f"{configuration.FILE_NAME} declares no capability, so there is nothing to move.")
    return sorted(config.capabilities)


def _draw(desk: Desk, name: str, phase: Phase | None) -> Plan | None:
    """The plan of an advance, of a completion, or of the way back where the phase lies behind."""
    target, current = phase or desk.config.capability(name).phase, desk.store.standing(name).phase
    if not desk.store.unfinished(name) and direction(current, target) is Direction.BACK:
        return transition.draw_back(desk, name, target)
    target = phase or _towards_wanted(desk, name)
    if (current, target) == (SWITCHED, COMPLETE):
        return transition.draw_complete(desk, name)
    return transition.draw(desk, name, target, named=phase is not None)


def _towards_wanted(desk: Desk, name: str) -> Phase:
    """The end of an advance that was cut short, else the next phase towards the wanted one."""
    capability, current = desk.config.capability(name), desk.store.standing(name).phase
    wanted = capability.phase
    if unfinished := desk.store.unfinished(name):
        return unfinished.target
    if direction(current, wanted) is Direction.BACK:
        check_forward(name, current, wanted, capability.kind)
    return wanted if wanted == current else step_towards(current, wanted, capability.kind)


def _each(names: list[str], act: Callable[[str], None]) -> None:
    """Act on every capability; what refuses one of them doesn't keep the others."""
    refusals = []
    for name in names:
        try:
            act(name)
        except StranglerError as refusal:
            click.echo(f"strangler: {refusal}", err=True)
            refusals.append(refusal.exit_code)
    if refusals:
        sys.exit(max(refusals))


@contextmanager
def _watching(quiet: bool) -> Iterator[tuple[Look, Begun, Any]]:
    """Tells on stderr what goes on: gates that still hold, effects that begin, rows that are copied."""
    said: set[str] = set()

    def held(plan: Plan) -> None:
        sentence = "; ".join(f"{gate.name}: {gate.sentence.rstrip('.')}" for gate in plan.held)
        if sentence not in said:
            said.add(sentence)
            click.echo(f"waiting: {sentence}", err=True)

    def begun(effect: Effect) -> None:
        if not quiet:
            click.echo(f"{effect.describe()} ...", err=True)

    with progress_bar() as copied:
        try:
            yield held, begun, copied
        except KeyboardInterrupt:
            raise StranglerError(
                "Interrupted. What had been begun is recorded as unfinished: `strangler status` shows it, "
                "with the verb that finishes it and the one that undoes it."
            ) from None


def _show(desk: Desk, name: str, done: Transition | None, in_json: bool) -> None:
    if in_json:
        _print_json(done)
    elif done:
        click.echo(text.done(done))
    else:
        click.echo(
            f"{name} is at {desk.store.standing(name).phase} already, and the gateway routes so. "
            "Nothing to do."
        )


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Phase):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{value!r} has no JSON")
