"""What Envoy says of itself: which version of each file it has taken, and how many it has refused."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from strangler.envoy.errors import GatewayUnreachable
from strangler.envoy.names import ROUTES, STATS
from strangler.envoy.snapshot import CDS, LDS, RDS

_SECONDS = 2.0
_WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")
_FILTER = rf"\.(version_text|update_rejected)$|^({'|'.join(_WARMING)})$"


@dataclass(frozen=True)
class State:
    """Envoy's state of mind at one moment, by the names of a snapshot's files.

    `versions` maps a file to the revision that it was last taken from ("" before the first), `rejected` to
    how often one of its kind was refused since Envoy started; `warming` counts clusters and listeners that
    were taken and aren't in use yet.
    """

    versions: Mapping[str, str]
    rejected: Mapping[str, int]
    warming: int

    def has_taken(self, wanted: Mapping[str, str]) -> bool:
        """Whether every file of `wanted` was taken at the version there, and is in use."""
        return not self.warming and all(
            self.versions.get(name) == version for name, version in wanted.items()
        )

    def refused_since(self, before: State) -> list[str]:
        """The files of which more were refused than `before`."""
        return [name for name, count in self.rejected.items() if count > before.rejected.get(name, 0)]


class Admin:
    """A connection to Envoy's admin address. Everything raises GatewayUnreachable when there is no answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._connection.close()

    def state(self) -> State:
        """What was taken and what was refused."""
        stats = json.loads(self._get(f"/stats?format=json&filter={quote(_FILTER)}"))["stats"]
        values: dict[str, Any] = {one["name"]: one["value"] for one in stats if "name" in one}
        versions, rejected = {}, {}
        for stat, value in values.items():
            subject, _, kind = stat.rpartition(".")
            if (name := _file(subject)) and kind == "version_text":
                versions[name] = str(value)
            elif name and kind == "update_rejected":
                rejected[name] = int(value)
        return State(versions, rejected, sum(int(values.get(one, 0)) for one in _WARMING))

    def ready(self) -> bool:
        """Whether Envoy serves."""
        return self._get("/ready").strip() == b"LIVE"

    def _get(self, path: str) -> bytes:
        try:
            self._connection.request("GET", path)
            return self._connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise GatewayUnreachable(
                f"The gateway doesn't answer at {self.url} ({error or type(error).__name__}). "
                "Nothing was changed. See `strangler ps` and `strangler logs gateway`."
            ) from None


_SUBJECTS = {"cluster_manager.cds": CDS, "listener_manager.lds": LDS, f"http.{STATS}.rds.{ROUTES}": RDS}


def _file(subject: str) -> str | None:
    """The snapshot's file that a group of statistics is about."""
    if found := re.fullmatch(r"cluster\.(.+)", subject):
        return f"eds/{found[1]}/eds.json"
    return _SUBJECTS.get(subject)
