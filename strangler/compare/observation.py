"""The values that comparing works on: a request, the answers of both homes, and what was seen between them.

Words after GitHub's Scientist: the control is the home that answered before the move, the candidate the home
that a capability moves to, and an observation is one request's answers side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["missing", "extra", "type", "value", "order", "length", "status", "header"]
Outcome = Literal["same", "different", "excused", "ignored", "not comparable"]
Verdict = Literal["different", "excused", "ignored", "settled"]

# Reasons of "not comparable", as they are counted and printed.
SETTLED = "settled on the second look"
STALE = "stale: the candidate lacked what the control had"
TRUNCATED = "the captured body was cut off"
UNDECODED = "the body's encoding isn't known here"
NOBODY = "answered by neither home"
NO_TOKEN = "no token for the caller"  # nosec B105 # a reason

SAMPLES_PER_DIFFERENCE = 3


def could_not_ask(home: str) -> str:
    """The reason that is counted when a home doesn't answer the comparator."""
    return f"couldn't ask {home}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: the kind (a role, or "anonymous") and the token's subject, which may be empty."""

    kind: str
    subject: str = ""


ANONYMOUS = Caller("anonymous")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of both homes: `target` is the path with its query, `host` what the client sent."""

    method: str
    target: str
    host: str
    caller: Caller = ANONYMOUS
    accept: str = ""
    accept_language: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one home answered: the decoded body, and the time in milliseconds where it was measured."""

    home: str
    status: int
    content_type: str
    body: bytes
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Both sides of one difference as short text; None where a side has nothing."""

    control: str | None
    candidate: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs.

    `path` is "status", a header's name, or a JSON path such as `$.results[].price`, in which `[]` stands
    for any element; `kind` says how it differs, `count` how often in one pair of answers.
    """

    path: str
    kind: Kind
    samples: tuple[Sample, ...] = ()
    count: int = 1

    @property
    def opens(self) -> bool:
        """Whether the candidate gives out what the control refuses: a permission was lost on the way."""
        return self.kind == "status" and any(
            one.control in ("401", "403", "404") and (one.candidate or "").startswith("2")
            for one in self.samples
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference with the verdict on it; `reason` is the declared one of an ignored difference."""

    difference: Difference
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One request, compared.

    `reason` says why it wasn't comparable, else it is empty. `times` are (control, candidate) in
    milliseconds, both asked by the comparator, one after the other, so that like is timed with like; None
    where only one was. `at` is the time of the request in seconds since the epoch.
    """

    capability: str
    route: str
    request: Request
    at: float
    outcome: Outcome
    reason: str = ""
    control_status: int = 0
    judged: tuple[Judged, ...] = ()
    times: tuple[float, float] | None = None
