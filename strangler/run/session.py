"""How a verb gets a system to work on: the one that runs, or one started for it and stopped after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from strangler.config import Config
from strangler.errors import StranglerError
from strangler.run import board, databases, sweep, system
from strangler.run.board import Board
from strangler.run.launch import SOMEBODY_ELSE, prepare_state
from strangler.run.ports import demand
from strangler.run.system import ELSEWHERE, STATE_DIRECTORY, System

SUPERVISOR = ("-m", "strangler.run.launch")
POLL = 0.1  # seconds between two looks at the board
STOP_WITHIN = 120.0  # seconds; each program has its own, shorter limit

Watch = Callable[[Board], None]


class StartRefused(StranglerError):
    """The system didn't start; what had started was stopped again. `exit_code` is the reason's own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StopFailed(StranglerError):
    """The supervisor doesn't stop."""


@dataclass
class Started:
    """A supervisor that this process started; `child` is its process."""

    child: subprocess.Popen[bytes]
    system: System


@contextmanager
def running_system(config: Config, *, quiet: bool = False) -> Iterator[System]:
    """The running system of this project, or one that is started for the block and stopped after it.

    Says on stderr what it starts, unless `quiet`. Raises StartRefused.
    """
    if found := find(config):
        yield found
        return
    say = _silence if quiet else _say
    say("strangler: nothing runs here yet; everything is started now, and stopped at the end of this command")
    with started(config, watch=progress(say)) as running:
        try:
            yield running
        finally:
            say("strangler: stopping what was started")


@contextmanager
def started(
    config: Config,
    *,
    port: int | None = None,
    watch: Watch | None = None,
    supervisor: Sequence[str] = SUPERVISOR,
) -> Iterator[System]:
    """Start a system for the block, which ends with this process, however that ends."""
    mine, theirs = os.pipe()  # the supervisor reads it, and stops at its end
    try:
        child = launch(config, port=port, lifeline=mine, supervisor=supervisor)
        os.close(mine)
        try:
            yield wait_until_ready(config, child, watch)
        finally:
            stop_child(child)
    finally:
        os.close(theirs)


def find(config: Config, watch: Watch | None = None) -> System | None:
    """The system that runs in this project (waits for one that is just starting) or is attached, or None."""
    state = config.root / STATE_DIRECTORY
    if (attached := system.load(config.root)) and attached.supervisor == ELSEWHERE:
        return attached
    while (seen := board.load(state)) and seen.is_up:
        if watch:
            watch(seen)
        if seen.stage == "ready":
            return system.load(config.root)
        time.sleep(POLL)
    return None


def launch(
    config: Config,
    *,
    port: int | None = None,
    lifeline: int | None = None,
    supervisor: Sequence[str] = SUPERVISOR,
) -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own, so that the terminal's Ctrl-C is ours to pass on.

    What can be refused at once is refused here: PortTaken, DatabaseRefuses.
    """
    if port:
        demand(port)
    for database in config.databases.values():
        if url := os.environ.get(database.env):
            databases.check(database.env, url)
    command = [sys.executable, *supervisor]
    command += ["--port", str(port)] if port else []
    command += ["--lifeline", str(lifeline)] if lifeline is not None else []
    log = prepare_state(config.root) / "logs" / "supervisor.log"
    log.unlink(missing_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        return subprocess.Popen(
            command, cwd=config.root, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            pass_fds=[lifeline] if lifeline is not None else [], start_new_session=True,
        )  # fmt: skip


def wait_until_ready(config: Config, child: subprocess.Popen[bytes], watch: Watch | None = None) -> System:
    """Follow a start to its end; StartRefused with the supervisor's own sentence if it fails."""
    state = config.root / STATE_DIRECTORY
    while True:
        code = child.poll()
        seen = board.load(state)
        if code == SOMEBODY_ELSE and (found := find(config, watch)):  # another start was first
            return found
        if seen and seen.supervisor == child.pid:
            if watch:
                watch(seen)
            if seen.stage == "ready" and (described := system.load(config.root)):
                return described
            if seen.stage == "failed" and code is not None:
                raise StartRefused(seen.failure, seen.exit_code)
        if code is not None:
            log = state / "logs" / "supervisor.log"
            raise StartRefused(
                f"The supervisor ended with {code} before everything had started. See {log}.", 1
            )
        time.sleep(POLL)


def stop_child(child: subprocess.Popen[bytes]) -> None:
    """Order a supervisor of ours to stop, and wait until it has. Ctrl-C meanwhile changes nothing."""
    before = signal.getsignal(signal.SIGINT)
    main = _in_main_thread()
    if main:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        child.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        raise StopFailed(
            f"The supervisor ({child.pid}) doesn't stop. `kill -9 {child.pid}` ends everything."
        ) from None
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def stop(root: Path) -> bool:
    """Stop the system that runs in `root`, in order; False if none does. StopFailed if it won't."""
    seen = board.load(root / STATE_DIRECTORY)
    if seen is None or not seen.is_up:
        return False
    sweep.send(seen.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN
    while seen.is_up:
        if time.monotonic() > deadline:
            raise StopFailed(
                f"The supervisor ({seen.supervisor}) doesn't stop. `kill -9 {seen.supervisor}` ends it all."
            )
        time.sleep(POLL)
    return True


def progress(say: Callable[[str], None]) -> Watch:
    """A watch that says each change of a process in one line."""
    shown: dict[str, tuple[str, str, int, str]] = {}

    def watch(seen: Board) -> None:
        for row in seen.rows:
            now = (row.state, row.health, row.restarts, row.note if row.state == "preparing" else "")
            if row.state != "waiting" and shown.get(row.name) != now:
                shown[row.name] = now
                words = [row.state, row.health, row.url or "", row.note]
                say(f"{row.name:<12} " + "  ".join(word for word in words if word))

    return watch


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silence(line: str) -> None:
    pass
