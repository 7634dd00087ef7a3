"""The consumers' side: an interaction is described once, tried on Pact's mock server, and written down.

WRITE_PACTS=1 pytest tests/contracts/consumers      writes the committed files anew
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pact import Pact

from strangler.contracts.pacts import canonical

PACTS = Path(__file__).parent / "pacts"

Describe = Callable[[Pact], None]


class Consumer:
    """One consumer of one provider, and what it asks, in the order in which that is described."""

    def __init__(self, name: str, provider: str) -> None:
        self.name, self.provider = name, provider
        self._asks: list[Describe] = []

    def asks(self, describe: Describe) -> Describe:
        """A decorator: what is described belongs to the pact."""
        self._asks.append(describe)
        return describe

    hears = asks

    @contextmanager
    def served(self, describe: Describe) -> Iterator[str]:
        """The URL of a provider that answers this one question; fails at the end if it wasn't asked."""
        pact = self._pact()
        describe(pact)
        with pact.serve(addr="127.0.0.1", raises=True) as server:
            yield str(server.url).rstrip("/")

    def heard(self, describe: Describe, handle: Callable[[Any, dict[str, Any]], None]) -> None:
        """Let a handler read the one message that is described: called with its body and its metadata."""
        pact = self._pact()
        describe(pact)
        pact.verify(handle, kind="Async")

    def written(self, directory: Path) -> str:
        """The whole pact, as it is to be committed."""
        pact = self._pact()
        for describe in self._asks:
            describe(pact)
        pact.write_file(directory, overwrite=True)
        (file,) = directory.glob("*.json")
        return canonical(file.read_text())

    def check_committed(self, directory: Path) -> None:
        """Fail unless the committed file is exactly what is described here."""
        file, text = PACTS / f"{self.name}-{self.provider}.json", self.written(directory)
        if os.environ.get("WRITE_PACTS"):
            file.write_text(text)
        committed = file.read_text() if file.exists() else ""
        assert committed == text, (
            f"{file.name} isn't what {self.name} asks for. WRITE_PACTS=1 pytest tests/contracts/consumers "
            "writes it anew; read the difference before it is committed."
        )

    def _pact(self) -> Pact:
        return Pact(self.name, self.provider).with_specification("V4")


def bearer() -> dict[str, Any]:
    """An Authorization header: any token for the consumer, and for the verifier the one of the state."""
    return {
        "pact:matcher:type": "regex",
        "regex": "^Bearer .+$",
        "value": "Bearer token",
        "pact:generator:type": "ProviderState",
        "expression": "${authorization}",
    }
