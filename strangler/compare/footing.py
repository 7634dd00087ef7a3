"""What evidence rests on: the versions of both homes, and the rules that answers are judged by.

Evidence of one version says nothing of the next one, so it starts anew whenever its footing changes. The
comparator writes the footing down, since it alone knows by which rules it judges; whoever decides holds the
footing of now against it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from strangler.compare.ignores import Ignores
from strangler.config import Capability, Config

UNKNOWN = ""  # the version of a home that hasn't told it


@dataclass(frozen=True)
class Footing:
    """`versions` by home, and a fingerprint of each part of strangler.toml that a verdict hangs on."""

    versions: Mapping[str, str]
    rules: Mapping[str, str]

    def change_to(self, other: Footing) -> str:
        """What is another in `other`, as the rest of a sentence that begins with "when"; "" if nothing is."""
        deployed = [
            f"{home} was deployed anew (version {self.versions.get(home) or 'unknown'}, now {version})"
            for home, version in other.versions.items()
            if version != self.versions.get(home, UNKNOWN)
        ]
        parts = [part for part, value in other.rules.items() if value != self.rules.get(part)]
        changed = [f"its {_listed(parts)} changed in strangler.toml"] if parts else []
        return " and ".join(deployed + changed)


@dataclass(frozen=True)
class Laid:
    """A footing as it was written down: since when it holds, and what changed then ("when ...")."""

    footing: Footing
    since: datetime.datetime
    reason: str


def rules(config: Config, capability: Capability, today: datetime.date) -> dict[str, str]:
    """The fingerprints of everything that a verdict on this capability hangs on.

    An ignore that expires changes them, as one that is declared does; how much is compared changes nothing.
    """
    gate, routes = capability.gate, sorted(map(str, capability.routes))
    ignores = Ignores(config.compare.ignores, today).active
    parts = {
        "routes": [capability.owner, capability.home, routes],
        "tables": sorted(capability.tables),
        "limits": [gate.mismatch_limit, gate.confidence, gate.latency_slack, gate.failure_limit],
        "critical fields": sorted(gate.critical),
        "ignores": sorted((one.route, one.path) for one in ignores if one.route in {"*", *routes}),
        "kinds of caller": config.compare.kind_claim,
    }
    return {part: hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8] for part, value in parts.items()}


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
