"""Every interaction asked of both homes, and their real answers held against each other.

A pact names what its consumer reads. Here the whole answers count: a field that one home lacks and nobody
reads yet is found too, before somebody does.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from strangler.compare.observation import Answer, Difference
from strangler.compare.walk import differences
from strangler.config import Config
from strangler.contracts.errors import CouldNotVerify
from strangler.contracts.homes import ANSWER_WITHIN, Served, opener, serving
from strangler.contracts.pacts import Interaction, Pact
from strangler.contracts.verify import homes_of

_REPLAYED = {"header", "path"}  # where a value of a provider state may stand


@dataclass(frozen=True)
class Compared:
    """One interaction's answers: where the candidate's differs, and which of those fields the pact names."""

    pact: Pact
    interaction: Interaction
    control: str
    candidate: str
    found: tuple[Difference, ...]

    def is_named(self, difference: Difference) -> bool:
        """Whether the consumer reads the field that differs."""
        return names(self.interaction, difference.path)


def compare(config: Config, pacts: Sequence[Pact]) -> list[Compared]:
    """Serve both homes of each pact, and ask them. CouldNotVerify where nothing can be compared."""
    pairs = [(pact, homes) for pact in pacts if len(homes := homes_of(config, pact.provider)) == 2]
    if not any(not one.is_message for pact, _ in pairs for one in pact.interactions):
        raise CouldNotVerify("None of these pacts is with a provider that has two homes; nothing was asked.")
    wanted = dict.fromkeys(home for _, homes in pairs for home in homes)
    with serving(config, wanted) as served:
        return [
            replay(pact, interaction, served[control], served[candidate])
            for pact, (control, candidate) in pairs
            for interaction in pact.interactions
            if not interaction.is_message
        ]


def replay(pact: Pact, interaction: Interaction, control: Served, candidate: Served) -> Compared:
    """One interaction, asked of both."""
    ours, theirs = (ask(interaction, home) for home in (control, candidate))
    return Compared(pact, interaction, control.home, candidate.home, differences(ours, theirs))


def ask(interaction: Interaction, home: Served) -> Answer:
    """The home's answer to an interaction, in the states that it wants."""
    values: dict[str, Any] = {}
    try:
        for state, params in interaction.states:
            values |= home.bring_about(state, params, "setup")
        return _answer(interaction, home, values)
    finally:
        for state, params in interaction.states:
            home.bring_about(state, params, "teardown")


def _answer(interaction: Interaction, home: Served, values: Mapping[str, Any]) -> Answer:
    asked = interaction.raw["request"]
    generators = asked.get("generators", {})
    if strange := set(generators) - _REPLAYED:
        raise CouldNotVerify(
            f"{interaction.description!r} takes values of provider states in {', '.join(sorted(strange))}; "
            f"only those in {' and '.join(sorted(_REPLAYED))} can be replayed. Nothing was compared."
        )
    path = _fill(generators["path"], values) if "path" in generators else asked["path"]
    query = urlencode(asked.get("query", {}), doseq=True)
    headers = {name: ", ".join(given) for name, given in asked.get("headers", {}).items()}
    headers |= {name: _fill(one, values) for name, one in generators.get("header", {}).items()}
    content = asked.get("body", {}).get("content")
    request = urllib.request.Request(
        f"{home.url}{path}{'?' + query if query else ''}",
        None if content is None else json.dumps(content).encode(),
        headers,
        method=asked["method"],
    )
    try:
        with opener().open(request, timeout=ANSWER_WITHIN) as answer:
            return Answer(home.home, answer.status, answer.headers.get("content-type", ""), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(home.home, error.code, error.headers.get("content-type", ""), error.read())
    except OSError as error:
        raise CouldNotVerify(
            f"{home.home} gave no answer to {interaction.description!r}: {error}. Nothing was compared."
        ) from None


def _fill(generator: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """What a provider state gave out, in the place that the pact keeps for it."""

    def given(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise CouldNotVerify(f"No provider state gives out {found[1]!r}. Nothing was compared.")
        return str(values[found[1]])

    return re.sub(r"\$\{(\w+)\}", given, str(generator["expression"]))


def names(interaction: Interaction, path: str) -> bool:
    """Whether the expected answer has the field at `path`; a status and a header are always meant."""
    if not path.startswith("$"):
        return True
    value = interaction.raw["response"].get("body", {}).get("content")
    for step in _steps(path):
        if step == "[]" and isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return False
    return True


def _steps(path: str) -> Iterator[str]:
    """`$.results[].seller["odd name"]` as results, [], seller, odd name."""
    for plain, odd in re.findall(r"\.([\w-]+)|\[(\"(?:[^\"\\]|\\.)*\"|)\]", path):
        yield plain or (json.loads(odd) if odd else "[]")
