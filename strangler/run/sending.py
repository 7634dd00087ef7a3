"""What a load sends: the entries of [[load.requests]], each drawn at random."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from strangler.config import Config, LoadRequest
from strangler.errors import UsageError

Choose = Callable[[random.Random], str]
PLACEHOLDER = re.compile(r"\{(\w+):([^{}]*)\}")


@dataclass(frozen=True)
class Sent:
    """One request, drawn."""

    path: str
    json: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Kind:
    """An entry of [[load.requests]]: how to draw one, what it is counted as, and the content type it expects.

    `writes`, `also` and `shows` are those of the entry; `users` who of the load's sends it.
    """

    method: str
    path: Choose
    json: Mapping[str, Choose] | None
    form: Mapping[str, Choose] | None
    route: str
    accept: str
    weight: int
    users: tuple[str, ...]
    writes: bool
    also: tuple[int, ...]
    shows: str

    def draw(self, source: random.Random) -> Sent:
        return Sent(self.path(source), _drawn(self.json, source), _drawn(self.form, source))


def kinds(config: Config, users: tuple[str, ...]) -> list[Kind]:
    """All of them that one of these users sends. UsageError for a template that can't be read."""
    found = (_kind(config, one, users) for one in config.load.requests)
    return [one for one in found if one.users]


def _kind(config: Config, one: LoadRequest, users: tuple[str, ...]) -> Kind:
    path = template(one.path)
    example = path(random.Random(0))  # nosec B311 # any path of this template claims the same route
    claimed = next(
        (route for each in config.capabilities.values() if (route := each.route_of(one.method, example))),
        None,
    )
    plain = f"{one.method} {PLACEHOLDER.sub('*', one.path.partition('?')[0])}"
    api = claimed is not None or one.path.startswith("/api/")
    return Kind(
        method=one.method,
        path=path,
        json=_templates(one.json),
        form=_templates(one.form),
        route=str(claimed or plain),
        accept="application/json" if api else "text/html",
        weight=one.weight,
        users=tuple(user for user in users if user in one.users) if one.users else users,
        writes=one.writes,
        also=one.also,
        shows=one.shows,
    )


def template(text: str) -> Choose:
    """A text with {int:A:B} and {choice:a|b|c}, as a function that draws one; UsageError for other words."""
    pieces: list[str | Choose] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        pieces += [text[end : found.start()], _placeholder(text, *found.groups())]
        end = found.end()
    pieces.append(text[end:])
    return lambda source: "".join(one if isinstance(one, str) else one(source) for one in pieces)


def _templates(body: Mapping[str, str] | None) -> Mapping[str, Choose] | None:
    return None if body is None else {name: template(text) for name, text in body.items()}


def _drawn(body: Mapping[str, Choose] | None, source: random.Random) -> Mapping[str, str] | None:
    return None if body is None else {name: choose(source) for name, choose in body.items()}


def _placeholder(text: str, kind: str, argument: str) -> Choose:
    if kind == "choice" and argument:
        words = argument.split("|")
        return lambda source: source.choice(words)
    if kind == "int" and (found := re.fullmatch(r"(-?\d+):(-?\d+)", argument)):
        low, high = int(found[1]), int(found[2])
        if low <= high:
            return lambda source: str(source.randint(low, high))
    raise UsageError(
        f"{text!r} under [[load.requests]] has a placeholder that can't be read: {{{kind}:{argument}}}. "
        "Known are {int:A:B} with A <= B, and {choice:a|b|c}. No load was sent."
    )
