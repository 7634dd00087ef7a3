"""The board: what the supervisor knows of its processes, written for everybody else to read.

`.strangler/processes.json` is replaced at every change. A reader asks `is_up` before it believes the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from strangler.run import sweep

FILE_NAME = "processes.json"


@dataclass
class Row:
    """One process.

    `state` is waiting, preparing, starting, running, restarting, stopping, stopped or failed; `health` is
    healthy, unhealthy, or empty where nothing is known yet; `note` says what happened last, where that helps.
    """

    name: str
    state: str = "waiting"
    health: str = ""
    port: int | None = None
    restarts: int = 0
    url: str | None = None
    pid: int | None = None
    note: str = ""


@dataclass
class Board:
    """One run: who supervises it, how far it is, and its processes in start order.

    `stage` is starting, ready, stopping, stopped or failed (then `failure` says why, in sentences). `groups`
    maps the process groups in use to their leaders' start times. `boot` names the boot that all pids belong
    to.
    """

    run: str
    supervisor: int
    supervisor_started: int
    boot: str
    stage: str = "starting"
    failure: str = ""
    exit_code: int = 0
    rows: list[Row] = field(default_factory=list)
    groups: dict[int, int] = field(default_factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.boot == boot_id() and sweep.is_alive(self.supervisor, self.supervisor_started)

    def row(self, name: str) -> Row:
        """The row of a process, added at the end if it has none."""
        for row in self.rows:
            if row.name == name:
                return row
        self.rows.append(Row(name))
        return self.rows[-1]

    def save(self, state: Path) -> None:
        """Replace the file in one move."""
        draft = state / f"{FILE_NAME}.tmp"
        # The directory may have been removed under us: nobody reads it then, and what runs must be stopped.
        with contextlib.suppress(FileNotFoundError):
            draft.write_text(json.dumps(asdict(self), indent=1))
            draft.replace(state / FILE_NAME)


def load(state: Path) -> Board | None:
    """The board of the run that is on, or of the last one; None where there was none."""
    try:
        values = json.loads((state / FILE_NAME).read_text())
    except FileNotFoundError:
        return None
    values["rows"] = [Row(**row) for row in values["rows"]]
    values["groups"] = {int(group): started for group, started in values["groups"].items()}
    return Board(**values)


def fresh() -> Board:
    """A board for a run that this process supervises."""
    own = sweep.stat(os.getpid())
    if own is None:
        raise RuntimeError("/proc doesn't show this process")
    return Board(run=os.urandom(8).hex(), supervisor=own.pid, supervisor_started=own.started, boot=boot_id())


def boot_id() -> str:
    """Tells one boot of this machine from the next."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
