"""Pact files as they are committed: what each consumer asks of each provider, in one canonical text.

A pact's hash is of what matters to a verification alone, as the Pact Broker has it: reformatted, or written
by another version of a library, it is the same pact, and what was found out about it holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strangler.contracts.errors import CouldNotVerify

MESSAGE = "Asynchronous/Messages"
_DIGITS = 16


@dataclass(frozen=True)
class Interaction:
    """One question and the answer that the consumer needs, or one message that it reads.

    `raw` is the interaction as the file has it.
    """

    description: str
    raw: Mapping[str, Any]

    @property
    def is_message(self) -> bool:
        return bool(self.raw.get("type") == MESSAGE)

    @property
    def states(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The provider states as (sentence, parameters)."""
        return tuple((one["name"], one.get("params", {})) for one in self.raw.get("providerStates", ()))


@dataclass(frozen=True)
class Pact:
    """What one consumer asks of one provider. `text` is canonical."""

    consumer: str
    provider: str
    interactions: tuple[Interaction, ...]
    text: str

    @property
    def hash(self) -> str:
        """Of the interactions and the specification; the names of the two sides are beside it everywhere."""
        return hashlib.sha256(_written(_substance(json.loads(self.text))).encode()).hexdigest()[:_DIGITS]

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.consumer}-{self.provider}.json"


def canonical(text: str) -> str:
    """A pact as it is committed: sorted, without the versions of what wrote it, ending with a line break."""
    return _written(_substance(json.loads(text), names=True), indent=2) + "\n"


def parse(text: str, where: str) -> Pact:
    """One pact. CouldNotVerify for what is none, or has two interactions of one description."""
    try:
        values = json.loads(text)
        pact = Pact(
            consumer=values["consumer"]["name"],
            provider=values["provider"]["name"],
            interactions=tuple(
                Interaction(one["description"], one) for one in _substance(values)["interactions"]
            ),
            text=canonical(text),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CouldNotVerify(
            f"{where} isn't a pact in version 4 of the format ({type(error).__name__}: {error}). "
            "Nothing was verified."
        ) from None
    descriptions = [one.description for one in pact.interactions]
    if twice := {one for one in descriptions if descriptions.count(one) > 1}:
        raise CouldNotVerify(
            f"{where} has {twice.pop()!r} twice, and their results couldn't be told apart. Nothing ran."
        )
    return pact


def read_all(directory: Path) -> tuple[Pact, ...]:
    """Every pact of a directory, by consumer and provider. CouldNotVerify where there is none."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            found.append(parse(path.read_text(), str(path)))
        except OSError as error:
            raise CouldNotVerify(f"{path} can't be read: {error.strerror}. Nothing was verified.") from None
    if not found:
        raise CouldNotVerify(
            f"There is no pact in {directory}, and an empty run proves nothing. Consumers' tests write them; "
            "`pacts` in [contracts] of strangler.toml names the directory."
        )
    return tuple(sorted(found, key=lambda one: (one.consumer, one.provider)))


def _substance(values: Mapping[str, Any], *, names: bool = False) -> dict[str, Any]:
    """What matters of a pact to whoever verifies it."""
    kept: dict[str, Any] = {"interactions": sorted(map(_plain, values["interactions"]), key=_order)}
    kept["metadata"] = {"pactSpecification": values["metadata"]["pactSpecification"]}
    if names:
        kept |= {side: {"name": values[side]["name"]} for side in ("consumer", "provider")}
    return kept


def _plain(interaction: Mapping[str, Any]) -> dict[str, Any]:
    """Without the library's own bookkeeping. What is `pending` is for the broker to say."""
    return {
        key: one for key, one in interaction.items() if key not in ("pending", "key", "pluginConfiguration")
    }


def _order(interaction: Mapping[str, Any]) -> tuple[str, str]:
    return interaction["description"], _written(interaction)


def _written(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False)
