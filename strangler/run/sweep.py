"""Ends what a run left behind: the guard when its supervisor dies, the next start, and the end of every stop.

Each process of a run carries the run's id in its environment, and its children inherit that, so they are
found whoever their parent is by now. A process group is searched too, since a program may overwrite its
environment.

    python -m strangler.run.sweep FD STATE_DIRECTORY      the guard: waits for the end of FD, then sweeps
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MARK = "STRANGLER_RUN"
PATIENCE = 3.0  # seconds between asking a process to end and killing it


@dataclass(frozen=True)
class Stat:
    """One process as /proc shows it; `started` in clock ticks since boot, which tells a reused pid apart."""

    pid: int
    state: str
    group: int
    started: int

    @property
    def alive(self) -> bool:
        # A zombie still answers to kill(pid, 0); it runs nothing.
        return self.state not in "ZX"


def stat(pid: int) -> Stat | None:
    """What /proc knows of a pid, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    return Stat(pid, fields[0], int(fields[2]), int(fields[19]))


def is_alive(pid: int, started: int) -> bool:
    """Whether the process that had this pid and this start time still runs."""
    found = stat(pid)
    return found is not None and found.alive and found.started == started


def members(run: str, groups: Mapping[int, int]) -> list[Stat]:
    """The living processes of a run; `groups` maps its process groups to their leaders' start times."""
    mark = f"{MARK}={run}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        one = stat(int(entry))
        if one and one.alive and (_in_group(one, groups) or mark in _environment(one.pid)):
            found.append(one)
    return found


def sweep(run: str, groups: Mapping[int, int], patience: float = PATIENCE) -> int:
    """End every process of a run: ask, wait up to `patience` seconds, kill. Returns how many there were."""
    seen: set[int] = set()
    deadline = time.monotonic() + patience
    while left := members(run, groups):
        for one in left:
            late = time.monotonic() > deadline
            if one.pid not in seen or late:
                seen.add(one.pid)
                send(one.pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)
    return len(seen)


def send(pid: int, what: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _in_group(one: Stat, groups: Mapping[int, int]) -> bool:
    recorded = groups.get(one.group)
    if recorded is None or one.started < recorded:
        return False
    leader = stat(one.group)
    return leader is None or leader.started == recorded


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile, or belongs to another user, so it is none of ours
        return []


def guard(descriptor: int, state: Path) -> None:
    """Wait until the supervisor is gone, however it went, and end what it started.

    The supervisor holds the other end of `descriptor` and never writes: reading ends when it does.
    """
    from strangler.run import board  # now, while its file is sure to be there

    for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(caught, signal.SIG_IGN)
    os.read(descriptor, 1)
    if last := board.load(state):
        sweep(last.run, last.groups)


if __name__ == "__main__":
    guard(int(sys.argv[1]), Path(sys.argv[2]))
