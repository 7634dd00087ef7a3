"""What the gateway's part refuses.

StranglerError
└── GatewayError             the gateway couldn't be changed, or can't run here
    ├── GatewayMissing       there is no Envoy on this machine
    ├── GatewayUnreachable   Envoy runs, or should, and its admin address doesn't answer
    ├── HomeUnroutable       a home's address, or a capability's phase, is one that Envoy can't be given
    └── SnapshotRefused      Envoy refused a snapshot, or didn't take it in time; the former one is in place
"""

from __future__ import annotations

from strangler.errors import StranglerError


class GatewayError(StranglerError):
    """Root of the gateway's refusals. Traffic goes on as it did before."""


class GatewayMissing(GatewayError):
    """No Envoy binary can be found for this platform."""


class GatewayUnreachable(GatewayError):
    """Envoy's admin address doesn't answer; what it serves is unknown, and nothing was changed."""


class HomeUnroutable(GatewayError):
    """What was asked can't be rendered; nothing was rendered and nothing was changed."""


class SnapshotRefused(GatewayError):
    """A snapshot was refused. `words` are Envoy's own, `stayed` the revision that still routes (None at
    first).
    """

    def __init__(self, revision: str, words: str, stayed: str | None) -> None:
        kept = (
            f"Revision {stayed} stays in place, and traffic goes on as before"
            if stayed
            else "Nothing was put in place"
        )
        super().__init__(
            f"Envoy refused revision {revision}: {words.rstrip('.')}. {kept}. "
            "Correct strangler.toml, or take the capability back with `strangler reverse`."
        )
        self.revision, self.words, self.stayed = revision, words, stayed
