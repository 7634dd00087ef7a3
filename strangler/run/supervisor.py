"""The supervisor: starts programs in the order of their needs, keeps them running, and stops them in reverse.

It is a process of its own (`strangler.run.launch` is its main program). What it knows is on the board; what
its programs print goes to one log each. Three nets keep it from leaving orphans, also when it is killed: the
kernel ends its children with it (`setpriv --pdeathsig`), a guard process sweeps up their children, and the
next start sweeps once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from strangler.errors import StranglerError
from strangler.run import sweep
from strangler.run.board import Board, Row
from strangler.run.postgres import last_lines
from strangler.run.program import STEADY, Program, ailment

logger = logging.getLogger("strangler.supervisor")
FIRST_DELAY, LAST_DELAY = 0.05, 5.0  # seconds before a restart: doubling from the first to the last
PROVEN_AFTER = 10.0  # seconds of running after which the next failure counts as the first
START_ATTEMPTS = 3  # a first start that ends so often is a failure of the whole start
STOP_WITHIN = 8.0  # seconds that one program gets to stop before it is killed
POLL_STARTING, POLL_RUNNING = 0.02, 2.0  # seconds between two questions for health; the first grows
UNHEALTHY_AFTER = 3  # unanswered questions in a row


class StartFailed(StranglerError):
    """A program didn't become healthy, so the whole start is taken back."""


@dataclass
class Backoff:
    """How long to wait before the next restart: not at all after a proven run, then ever longer."""

    delay: float = 0.0

    def after(self, ran_for: float) -> float:
        """The seconds to wait, given how long the run lasted that has just ended."""
        if ran_for >= PROVEN_AFTER:
            self.delay = 0.0
        wait, self.delay = self.delay, min(max(FIRST_DELAY, self.delay * 2), LAST_DELAY)
        return wait


class Supervisor:
    """Runs programs until it is told to stop.

    `board` is saved to `state` at every change; logs go to `state`/logs.
    """

    def __init__(self, board: Board, state: Path) -> None:
        self.board, self.state = board, state
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._programs: dict[str, Program] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = False
        self._lifeline, self._guard = -1, asyncio.get_running_loop().create_task(self._keep_guard())

    async def start(self, programs: Iterable[Program]) -> None:
        """Start programs, each when all that it needs is healthy; returns when all are.

        StartFailed says which one isn't, with the last lines of its log. The others are left as they are.
        """
        programs = list(programs)
        for program in programs:
            self._programs[program.name] = program
            self._ready[program.name] = asyncio.Event()
            row = self.board.row(program.name)
            row.port, row.url = program.port, program.url
        for program in programs:
            task = asyncio.create_task(self._run(program), name=program.name)
            task.add_done_callback(self._notice)
            self._tasks[program.name] = task
        ready = asyncio.create_task(self._all_ready([program.name for program in programs]))
        either: list[asyncio.Future[Any]] = [ready, self.failed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            ready.cancel()
            raise StartFailed(self.failed.result())

    async def _all_ready(self, names: Iterable[str]) -> None:
        for name in names:
            await self._ready[name].wait()

    async def stop(self) -> None:
        """Stop everything, each program before those that it needs; no process of the run is left then."""
        self._stopping = True
        logger.info("Everything is stopped, in order.")
        if not self.failed.done():
            self.failed.cancel()
        stops: dict[str, asyncio.Task[None]] = {}
        for name in reversed(start_order(self._programs.values())):
            first = [stops[other] for other in stops if name in self._programs[other].needs]
            stops[name] = asyncio.create_task(self._stop_after(first, self._programs[name]))
        await asyncio.gather(*stops.values())
        await asyncio.to_thread(sweep.sweep, self.board.run, dict(self.board.groups))
        self._guard.cancel()
        await asyncio.wait([self._guard], timeout=2)
        logger.info("Everything has stopped.")

    async def _run(self, program: Program) -> None:
        """One program's life: wait for its needs, prepare, start, restart."""
        for need in program.needs & self._ready.keys():
            await self._ready[need].wait()
        if program.before is not None:
            self._show(program, state="preparing")
            await asyncio.to_thread(program.before)
        for command in program.prepare:
            self._show(program, state="preparing", note=_plain(command))
            child = await self._spawn(program, command)
            if code := await self._ended(program, child):
                raise StartFailed(self._failure(program, f"`{_plain(command)}` {_ending(code)}"))
        backoff, deadline, attempts = Backoff(), time.monotonic() + program.patience, 0
        while not self._stopping:
            attempts += 1
            self._show(program, state="starting" if attempts == 1 else "restarting", health="", note="")
            began = time.monotonic()
            child = await self._spawn(program, program.command)
            watch = asyncio.create_task(self._watch(program, deadline))
            ended = asyncio.create_task(self._ended(program, child))
            done, _ = await asyncio.wait([watch, ended], return_when=asyncio.FIRST_COMPLETED)
            if watch in done:
                await watch  # it ends by raising only: never healthy
            code = await ended
            watch.cancel()
            if self._stopping:
                return
            if not self._ready[program.name].is_set() and attempts >= START_ATTEMPTS:
                what = f"{_ending(code)}, for the third time before it was healthy"
                raise StartFailed(self._failure(program, what))
            wait = backoff.after(time.monotonic() - began)
            row = self.board.row(program.name)
            note = f"{_ending(code)}, starts again in {wait:.2f} s"
            self._show(program, state="restarting", health="", restarts=row.restarts + 1, note=note)
            self._write(program, note)
            await asyncio.sleep(wait)

    async def _watch(self, program: Program, deadline: float) -> None:
        """Keep a running program's health on the board; StartFailed if its first start takes too long."""
        ready, asked, unanswered, healthy = self._ready[program.name], 0, 0, False
        if program.health is None:
            await asyncio.sleep(STEADY)
            ready.set()
            self._show(program, state="running", health="healthy")
            await asyncio.Event().wait()
            return
        while True:
            asked += 1
            wrong = await ailment(program.health)
            if not wrong:
                unanswered = 0
                if not healthy:
                    healthy = True
                    ready.set()
                    self._show(program, state="running", health="healthy", note="")
            else:
                unanswered += 1
                if healthy and unanswered >= UNHEALTHY_AFTER:
                    healthy = False
                    self._show(program, health="unhealthy", note=wrong)
                if not ready.is_set() and time.monotonic() > deadline:
                    what = f"didn't become healthy in {program.patience:.0f} s: {wrong}"
                    raise StartFailed(self._failure(program, what))
            await asyncio.sleep(POLL_RUNNING if healthy else min(POLL_STARTING * asked, POLL_RUNNING / 4))

    async def _spawn(self, program: Program, command: tuple[str, ...]) -> asyncio.subprocess.Process:
        environment = {**program.environment, sweep.MARK: self.board.run}
        # Asked ahead, since setpriv would run and then fail.
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            raise StartFailed(f"{program.name} can't be run: there is no program {command[0]}.")
        log = os.open(self._log(program), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = await asyncio.create_subprocess_exec(
                *ends_with_parent(), *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=program.directory, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            reason = f"can't be run: {command[0]}: {error.strerror}"
            raise StartFailed(self._failure(program, reason)) from None
        finally:
            os.close(log)
        self._children[program.name] = child
        started = sweep.stat(child.pid)
        if started:
            self.board.groups[child.pid] = started.started
        self._show(program, pid=child.pid)
        return child

    async def _ended(self, program: Program, child: asyncio.subprocess.Process) -> int:
        """Wait for a child's end, and end what is left of its group: it may hold the port."""
        code = await child.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        self.board.groups.pop(child.pid, None)
        self._children.pop(program.name, None)
        self._show(program, pid=None)
        return code

    async def _stop_after(self, others: list[asyncio.Task[None]], program: Program) -> None:
        if others:
            await asyncio.wait(others)
        task = self._tasks[program.name]
        if child := self._children.get(program.name):
            self._show(program, state="stopping")
            sweep.send(child.pid, program.stop_signal)
            try:
                await asyncio.wait_for(child.wait(), STOP_WITHIN)
            except TimeoutError:
                self._write(program, f"didn't stop in {STOP_WITHIN:.0f} s, and was killed")
                sweep.send(child.pid, signal.SIGKILL)
                await child.wait()
        task.cancel()
        await asyncio.wait([task])
        if self.board.row(program.name).state != "failed":
            self._show(program, state="stopped", health="", note="")

    async def _keep_guard(self) -> None:
        """Keep a guard that sweeps up after us; it notices our end by the end of a pipe that only we hold."""
        while True:
            reading, self._lifeline = os.pipe()
            guard = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "strangler.run.sweep", str(reading), str(self.state),
                pass_fds=[reading], stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            os.close(reading)
            try:
                code = await guard.wait()
            except asyncio.CancelledError:
                os.close(self._lifeline)  # the guard reads the end of it, finds nothing, and leaves
                await guard.wait()
                raise
            os.close(self._lifeline)
            logger.warning("The guard %s, starts again at once.", _ending(code))

    def _notice(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None or self.failed.done():
            return
        error = task.exception()
        name = task.get_name()
        self._show(self._programs[name], state="failed", health="")
        if not isinstance(error, StranglerError):
            traceback.print_exception(error)
            error = StartFailed(f"{name} can't be started: {type(error).__name__}: {error}")
        logger.error("%s", error)
        self.failed.set_result(str(error))

    def _failure(self, program: Program, what: str) -> str:
        log = self._log(program)
        return f"{program.name} {what}. The end of {log}:\n{last_lines(log)}"

    def _show(self, program: Program, **changes: object) -> None:
        row: Row = self.board.row(program.name)
        for name, value in changes.items():
            setattr(row, name, value)
        self.board.save(self.state)

    def _write(self, program: Program, what: str) -> None:
        """Say in the program's log what happened to it, and in ours."""
        with self._log(program).open("a") as log:
            log.write(f"--- {what}\n")
        logger.warning("%s %s.", program.name, what)

    def _log(self, program: Program) -> Path:
        return self.state / "logs" / f"{program.name}.log"


def start_order(programs: Iterable[Program]) -> list[str]:
    """The programs' names, each after all that it needs."""
    needs = {program.name: program.needs for program in programs}
    return [name for name in TopologicalSorter(needs).static_order() if name in needs]


def ends_with_parent() -> list[str]:
    """What to put before a command so that the kernel ends it with its parent; nothing without setpriv."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _plain(command: tuple[str, ...]) -> str:
    """A command as it may be shown: without the interpreter's path, and without passwords."""
    text = " ".join("python" if word == sys.executable else word for word in command)
    return re.sub(r"(://[^:/@\s]+):[^@\s]+@", r"\1:***@", text)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with {code}"
