"""What gates look at: what was learned of a capability, its homes and the gateway, all at one moment."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from strangler.compare.footing import Footing, Laid


class Evidence(Protocol):
    """What the live comparison has seen of a capability; counts of requests.

    It counts from `since`: when the phase began, or when what it rests on was `laid` anew.
    `shapes` counts the distinct requests among the compared ones: by route, path, query and kind of caller;
    `shapes_different` those among them that were ever answered differently.
    `coverage` is the share of captured requests that were compared, or None where nothing was captured;
    `stale` counts those that weren't because the service lacked what the monolith had.
    `latencies` has milliseconds by home, `differing` the unexcused differences by route and field, the most
    frequent first, `critical` those in fields declared critical, and `slower` the routes that take provably
    more than (1 + slack) times as long at the service.
    """

    @property
    def since(self) -> datetime.datetime | None: ...
    @property
    def laid(self) -> Laid | None: ...
    @property
    def captured(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def comparable(self) -> int: ...
    @property
    def different(self) -> int: ...
    @property
    def excused(self) -> int: ...
    @property
    def stale(self) -> int: ...
    @property
    def shapes(self) -> int: ...
    @property
    def shapes_different(self) -> int: ...
    @property
    def coverage(self) -> float | None: ...
    @property
    def differing(self) -> Sequence[str]: ...
    @property
    def critical(self) -> Sequence[str]: ...
    @property
    def latencies(self) -> Mapping[str, Sequence[float]]: ...
    def slower(self, slack: float) -> Sequence[object]: ...


@dataclass(frozen=True)
class Health:
    """What a home said when it was asked for /health/ready; `detail` is the status, or why there is none.

    `version` is the one that runs, "" where it wasn't told.
    """

    home: str
    ready: bool
    detail: str
    version: str = ""


@dataclass(frozen=True)
class GatewayView:
    """The revision that the gateway has taken, and the one that the recorded phases come to.

    `taken` is None where the gateway doesn't answer or is behind; `detail` is then a sentence that says so.
    """

    taken: str | None
    recorded: str
    rejected: int = 0
    detail: str = ""

    @property
    def agrees(self) -> bool:
        return self.taken == self.recorded


class Lag(Protocol):
    """Changes at the owner that aren't applied yet, and the age of the first one in seconds."""

    @property
    def rows(self) -> int: ...
    @property
    def seconds(self) -> float: ...


class Copying(Protocol):
    """How far the copy of one table has come."""

    @property
    def table(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def total(self) -> int: ...


class Round(Protocol):
    """A verification of all rows that ran to its end; the first that differ or never settle are `named`."""

    @property
    def equal(self) -> bool: ...
    @property
    def tables(self) -> Sequence[str]: ...
    @property
    def rows(self) -> int: ...
    @property
    def suspects(self) -> int: ...
    @property
    def differing(self) -> int: ...
    @property
    def unsettled(self) -> int: ...
    @property
    def named(self) -> Sequence[str]: ...
    @property
    def seconds(self) -> float: ...


class FollowState(Protocol):
    """How a capability's tables follow; None is what couldn't be learned.

    `follows`: every table is copied whole, each change applied as it comes, and nothing holds it. `word` is
    the age in seconds of the follower's last word, and it `lives` while that is young. `round` is the last
    verification since it follows, `age` the seconds since its end, `problem` why the latest one has no end.
    """

    @property
    def ordered(self) -> bool: ...
    @property
    def follows(self) -> bool: ...
    @property
    def lives(self) -> bool: ...
    @property
    def copying(self) -> Sequence[Copying]: ...
    @property
    def word(self) -> float | None: ...
    @property
    def held(self) -> str | None: ...
    @property
    def lag(self) -> Lag | None: ...
    @property
    def round(self) -> Round | None: ...
    @property
    def age(self) -> float | None: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def unknown(self) -> str | None: ...


class Ownership(Protocol):
    """Who owns a capability's rows, and what else writes them.

    `owner` is the home whose database takes writes, "" where that isn't settled. `settled`: one owns, the
    other follows, and no switch is under way. `sentence` is what both homes say. `foreign_keys` cross into
    the tables or out of them, `crossings` are statements of other contexts in the quiet time, `recorded_for`
    the seconds since these are recorded, `holders` transactions that a fence would wait for. `unknown` says
    why nothing could be learned.
    """

    @property
    def owner(self) -> str: ...
    @property
    def settled(self) -> bool: ...
    @property
    def epoch(self) -> int: ...
    @property
    def sentence(self) -> str: ...
    @property
    def foreign_keys(self) -> Sequence[str]: ...
    @property
    def crossings(self) -> Sequence[str]: ...
    @property
    def recorded_for(self) -> float | None: ...
    @property
    def holders(self) -> Sequence[str]: ...
    @property
    def unknown(self) -> str | None: ...


class ContractState(Protocol):
    """Whether the versions that run keep what their consumers need, and a sentence that says so."""

    @property
    def deployable(self) -> bool: ...
    @property
    def sentence(self) -> str: ...


@dataclass(frozen=True)
class Facts:
    """Everything that the gates look at, taken at one moment. None means that it couldn't be learned.

    `unfit` says why the tables can't follow. For writes: `ownership`, the seconds for which the phase has
    `stood`, capabilities with the same tables that are `behind`, and what still `references` the old ones.
    """

    health: Health
    gateway: GatewayView
    unfit: Sequence[str] | None = None
    following: FollowState | None = None
    evidence: Evidence | None = None
    ownership: Ownership | None = None
    stood: float | None = None
    behind: Sequence[str] | None = None
    references: Sequence[str] | None = None
    contracts: ContractState | None = None
    footing: Footing | None = None  # what evidence would rest on now
