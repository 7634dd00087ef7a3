"""A running system as every verb sees it: who answers where, and which database is whose.

The supervisor writes it to `.strangler/system.json` (mode 0600, it holds database passwords) once everything
has started, and takes it away when it stops. For a system that runs elsewhere, `strangler attach` writes it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from strangler.config import FILE_NAME as DECLARED

STATE_DIRECTORY = ".strangler"
FILE_NAME = "system.json"
ELSEWHERE = 0  # the supervisor of a system that somebody else runs (`strangler attach`)


@dataclass(frozen=True)
class System:
    """Addresses of one running system.

    `root` is the project's directory, `state` its `.strangler`; `gateway` and `gateway_admin` are base URLs
    without a trailing slash, `homes` maps a home's name to its base URL, `databases` a database's name to a
    `postgresql://` URL. `modes` says for each of `database`, `broker` and `events` whether it is "embedded"
    or "named". `processes` maps the declared processes that listen here to their base URLs; none run here if
    attached. `telemetry` is the base URL of whoever takes spans; "" where nobody does.
    """

    root: str
    supervisor: int
    gateway: str
    gateway_admin: str
    homes: dict[str, str]
    databases: dict[str, str]
    modes: dict[str, str]
    processes: dict[str, str] = field(default_factory=dict)
    telemetry: str = ""

    @property
    def state(self) -> Path:
        return Path(self.root) / STATE_DIRECTORY

    @property
    def gateway_directory(self) -> Path:
        """Where the snapshots live, and the files that Envoy watches."""
        return self.state / "envoy"

    @property
    def capture_directory(self) -> Path:
        """Where the gateway leaves captured requests; a link to tmpfs where the machine has one."""
        return self.state / "capture"

    def save(self) -> None:
        """Write the file in one move, readable by its owner alone."""
        target = self.state / FILE_NAME
        draft = target.with_suffix(".tmp")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file, indent=2)
        draft.replace(target)


def stamps(root: Path) -> list[int]:
    """Other ones once a system starts anew under `root`, or strangler.toml is edited."""
    paths = (root / STATE_DIRECTORY / FILE_NAME, root / DECLARED)
    return [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]


def load(root: Path) -> System | None:
    """The system described under `root`, or None where none is. Doesn't ask whether it still runs."""
    try:
        return System(**json.loads((root / STATE_DIRECTORY / FILE_NAME).read_text()))
    except FileNotFoundError:
        return None
