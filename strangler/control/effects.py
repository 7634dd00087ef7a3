"""The effects of a transition: what `plan` and `--dry-run` print, and the very objects that `apply` executes.

Every effect may be applied again: it finds out by itself what is still to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from strangler.config import Config
from strangler.control.phases import MONOLITH, Phase
from strangler.control.store import Store
from strangler.control.surroundings import Progress, Surroundings
from strangler.errors import UsageError


@dataclass(frozen=True)
class Context:
    """What an effect may touch: the record, and the surroundings; `by` is the operator's name."""

    config: Config
    store: Store
    surroundings: Surroundings
    by: str
    progress: Progress | None = None


class Effect(Protocol):
    """One thing that a transition does."""

    @property
    def capability(self) -> str: ...

    def describe(self) -> str:
        """What applying it does, as the rest of a sentence that begins with "This will"."""
        ...

    def apply(self, context: Context) -> str:
        """Do it, or find that it is done; returns what came of it. Raises StranglerError."""
        ...


@dataclass(frozen=True)
class _OfRows:
    """What is done to a capability's tables where they are owned."""

    capability: str
    tables: tuple[str, ...]
    owner: str


@dataclass(frozen=True)
class _OfBothHomes(_OfRows):
    """What is done to them where they are owned, and at the home that they move to."""

    home: str


@dataclass(frozen=True)
class InstallCapture(_OfRows):
    """Have every change of the tables kept at their owner, whatever code path writes it."""

    def describe(self) -> str:
        return f"take every change of {', '.join(self.tables)} at {self.owner}, by triggers"

    def apply(self, context: Context) -> str:
        return context.surroundings.capture(context.config.capability(self.capability))


@dataclass(frozen=True)
class Follow(_OfBothHomes):
    """Have the other home's tables follow: copied once, then written as the owner's are."""

    def describe(self) -> str:
        return (
            f"have {self.home} follow them: copy the rows, apply each change, wait until all of them follow"
        )

    def apply(self, context: Context) -> str:
        capability = context.config.capability(self.capability)
        return context.surroundings.follow(capability, context.by, context.progress)


@dataclass(frozen=True)
class VerifyRows(_OfBothHomes):
    """Compare every row of both homes, and go no further where one differs."""

    def describe(self) -> str:
        return f"verify that {self.owner} and {self.home} hold the same rows, while writes go on"

    def apply(self, context: Context) -> str:
        return context.surroundings.verify(context.config.capability(self.capability))


@dataclass(frozen=True)
class StopFollowing(_OfBothHomes):
    """Have the tables follow no more, and nothing of theirs kept at the owner. The rows stay."""

    def describe(self) -> str:
        return (
            f"stop {self.home} following {self.owner}, and drop the triggers on {', '.join(self.tables)} at "
            f"{self.owner}, but for tables that another capability needs; the rows at {self.home} stay"
        )

    def apply(self, context: Context) -> str:
        return context.surroundings.stop_following(context.config.capability(self.capability))


@dataclass(frozen=True)
class Replicate(_OfBothHomes):
    """Let both homes know who owns the rows, and keep everybody but the applier off those that follow."""

    def describe(self) -> str:
        return (
            f"write down at both homes that {self.owner} owns the rows of {self.capability}, and put a fence "
            f"around them: lowered at {self.owner}, raised at {self.home}"
        )

    def apply(self, context: Context) -> str:
        return context.surroundings.replicate(context.config.capability(self.capability))


@dataclass(frozen=True)
class ForgetOwner(_OfBothHomes):
    """Take the fences off, and forget at both homes who owns the rows: the first owner does, as ever."""

    def describe(self) -> str:
        return f"take the fences off at {self.owner} and {self.home}, and forget who owns the rows"

    def apply(self, context: Context) -> str:
        return context.surroundings.forget_owner(context.config.capability(self.capability))


@dataclass(frozen=True)
class Archive(_OfRows):
    """Dump what the first owner has of the tables, and try the restore."""

    def describe(self) -> str:
        return f"dump {', '.join(self.tables)} of {self.owner} with checksums, and try to restore them"

    def apply(self, context: Context) -> str:
        return context.surroundings.archive(context.config.capability(self.capability))


@dataclass(frozen=True)
class DropTables(_OfRows):
    """Follow no more at the first owner, and drop its tables: from here on no way leads back."""

    def describe(self) -> str:
        return (
            f"drop {', '.join(self.tables)} at {self.owner}, refused if anything needs them, and write the "
            "Django migration that says so: NO WAY LEADS BACK FROM HERE"
        )

    def apply(self, context: Context) -> str:
        return context.surroundings.drop(context.config.capability(self.capability))


# In their order; they are the functions of strangler.movement.switch.
STEPS = {
    "offer": "capture at {target}, and let it know that it may become the owner, in epoch {epoch}",
    "raise_fence": "raise the fence at {origin}: its writers in flight end, later ones wait at the gateway",
    "drain": "wait until {target} has applied everything, and {origin}'s events are told",
    "hand_over": "let {target}'s ids and event numbers go on where {origin}'s are",
    "prepare_back": "note at {origin} from where it will follow {target}",
    "commit": "make {target} the owner: the commit point, up to here everything is undone if anything fails",
    "give_away": "have {origin} follow {target}; its fence stays up",
}


@dataclass(frozen=True)
class SwitchStep:
    """One step of the protocol by which ownership moves; `step` is its name in strangler.movement.switch."""

    capability: str
    step: str
    origin: str
    target: str
    epoch: int

    def describe(self) -> str:
        return STEPS[self.step].format(origin=self.origin, target=self.target, epoch=self.epoch)

    def apply(self, context: Context) -> str:
        return context.surroundings.switch_step(
            context.config.capability(self.capability), self.step, self.origin, self.epoch
        )


@dataclass(frozen=True)
class RehearseRoutes:
    """Have the routes of a phase validated before anything waits for them."""

    capability: str
    phase: Phase

    def describe(self) -> str:
        return f"validate the routes of {self.phase}, which the switch will publish"

    def apply(self, context: Context) -> str:
        context.surroundings.rehearse(routed(context.config, context.store) | {self.capability: self.phase})
        return f"the routes of {self.phase} are valid"


@dataclass(frozen=True)
class PublishRoutes:
    """Give the gateway the routes of this phase, with those of every other capability as recorded."""

    capability: str
    phase: Phase

    def describe(self) -> str:
        return f"publish the routes of {self.phase}, and wait until the gateway has taken them"

    def apply(self, context: Context) -> str:
        phases = routed(context.config, context.store) | {self.capability: self.phase}
        before = context.surroundings.gateway(phases).taken
        revision = context.surroundings.publish(phases)
        if revision == before:
            return f"the gateway routes so already, at revision {revision}"
        return f"the gateway has taken revision {revision}"


@dataclass(frozen=True)
class RecordPhase:
    """Make the phase the recorded one. Evidence counts from here."""

    capability: str
    phase: Phase
    revision: int

    def describe(self) -> str:
        return f"record {self.phase} as revision {self.revision} of {self.capability}"

    def apply(self, context: Context) -> str:
        context.store.record(self.capability, self.phase, self.revision, context.by)
        return f"{self.capability} is at {self.phase}"


def routed(config: Config, store: Store) -> dict[str, Phase]:
    """The recorded phase of every capability that strangler.toml declares."""
    recorded = store.phases()
    return {name: recorded.get(name, MONOLITH) for name in config.capabilities}


# ── As JSON, in saved plans and in the history ───────────────────────────────────────────────────

KINDS: Mapping[str, Callable[..., Effect]] = {
    "install_capture": InstallCapture,
    "follow": Follow,
    "verify_rows": VerifyRows,
    "stop_following": StopFollowing,
    "forget_owner": ForgetOwner,
    "archive": Archive,
    "drop_tables": DropTables,
    "replicate": Replicate,
    "switch_step": SwitchStep,
    "rehearse_routes": RehearseRoutes,
    "publish_routes": PublishRoutes,
    "record_phase": RecordPhase,
}
# The effects after which clients are served otherwise, or are recorded to be.
ROUTING = (PublishRoutes, RecordPhase)


def to_record(effect: Effect) -> tuple[str, dict[str, Any]]:
    """An effect's kind, and its arguments as JSON has them."""
    kind = next(name for name, one in KINDS.items() if one is type(effect))
    values = {field.name: getattr(effect, field.name) for field in fields(effect)}  # type: ignore[arg-type]
    return kind, {name: _plain(value) for name, value in values.items()}


def from_record(kind: str, arguments: Mapping[str, Any]) -> Effect:
    """The effect again; UsageError if it is none of ours."""
    values = dict(arguments)
    try:
        if "phase" in values:
            values["phase"] = Phase.parse(values["phase"])
        if "tables" in values:
            values["tables"] = tuple(values["tables"])
        return KINDS[kind](**values)
    except (KeyError, TypeError):
        raise UsageError(
            f"There is no effect {kind!r} with {dict(arguments)}. Nothing was changed."
        ) from None


def describe_record(kind: str, arguments: Mapping[str, Any]) -> str:
    """What an effect does, or did; one of a kind that is no more goes by its name."""
    if kind not in KINDS:
        return kind.replace("_", " ")
    return from_record(kind, arguments).describe()


def _plain(value: Any) -> Any:
    if isinstance(value, Phase):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
