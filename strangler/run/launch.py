"""The supervisor's own process: brings a project's system up, says so, and takes it down in order.

    python -m strangler.run.launch [--port PORT] [--lifeline FD]      in the project's directory

It stops at SIGTERM or SIGINT, and, given a lifeline, when whoever holds the other end of that pipe is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from strangler import config as configuration
from strangler.chassis import logs
from strangler.config import Config
from strangler.errors import StranglerError
from strangler.movement import applier
from strangler.run import board, databases, layout, postgres, sweep
from strangler.run.layout import BuiltIns
from strangler.run.supervisor import Supervisor
from strangler.run.system import FILE_NAME, STATE_DIRECTORY, System

SOMEBODY_ELSE = 75  # exit code: another supervisor has this project
LOCK = "supervisor.lock"


def main(built_ins: BuiltIns = layout.built_ins) -> None:
    """The command line. `built_ins` gives what runs besides the declared processes."""
    parser = argparse.ArgumentParser(prog="python -m strangler.run.launch")
    parser.add_argument("--port", type=int)
    parser.add_argument("--lifeline", type=int)
    arguments = parser.parse_args()
    logs.to_stderr()
    config = configuration.load(Path.cwd())
    state = prepare_state(config.root)
    # Held until this process ends, however it ends; children don't inherit it.
    lock = os.open(state / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(SOMEBODY_ELSE)
    sys.exit(asyncio.run(supervise(config, state, arguments.port, arguments.lifeline, built_ins)))


async def supervise(
    config: Config, state: Path, port: int | None, lifeline: int | None, built_ins: BuiltIns
) -> int:
    """Bring up, wait for the order to stop, take down; returns the exit code."""
    await asyncio.to_thread(clear, state)
    own = board.fresh()
    own.rows = [
        board.Row(name) for name in layout.names(config, databases.needs_embedded(config, os.environ))
    ]
    own.save(state)
    supervisor = Supervisor(own, state)
    stop = _order_to_stop(lifeline)
    coming = asyncio.create_task(bring_up(supervisor, config, state, port, built_ins))
    ordered = asyncio.create_task(stop.wait())
    await asyncio.wait([coming, ordered], return_when=asyncio.FIRST_COMPLETED)
    try:
        if coming.done():
            coming.result().save()
            own.stage = "ready"
            own.save(state)
            await ordered
        own.stage = "stopping"
    except StranglerError as failure:
        own.stage, own.failure, own.exit_code = "failed", str(failure), failure.exit_code
    except Exception as failure:
        traceback.print_exc()
        own.stage, own.exit_code = "failed", 1
        own.failure = (
            f"The start failed: {type(failure).__name__}: {failure}. See {state / 'logs/supervisor.log'}."
        )
    own.save(state)
    (state / FILE_NAME).unlink(missing_ok=True)
    coming.cancel()
    await asyncio.wait([coming])
    await supervisor.stop()
    shutil.rmtree((state / "capture").resolve(), ignore_errors=True)  # requests of people: gone with the run
    if own.stage != "failed":
        own.stage = "stopped"
    own.save(state)
    return own.exit_code


async def bring_up(
    supervisor: Supervisor, config: Config, state: Path, port: int | None, built_ins: BuiltIns
) -> System:
    """Start everything, the embedded server first where one is needed."""
    chosen = layout.choose_ports(config, port)
    modes = layout.modes(config, os.environ)
    superuser = None
    if modes["database"] == "embedded":
        cluster = await asyncio.to_thread(postgres.prepare, state / "postgres", durable=True)
        superuser = cluster.url(chosen.postgres)
        await supervisor.start([layout.postgres_program(cluster, chosen.postgres)])
    urls = await asyncio.to_thread(databases.resolve, config, os.environ, state=state, embedded=superuser)
    if superuser:
        await asyncio.to_thread(make_appliers, config, urls, superuser, state)
    system = layout.describe(config, chosen, urls, modes)
    await supervisor.start([*layout.declared(config, system, chosen), *built_ins(config, system)])
    return system


def make_appliers(config: Config, urls: Mapping[str, str], superuser: str, state: Path) -> None:
    """Logins for who writes followed rows, in a server that is ours; elsewhere the follower makes its own."""
    for capability in config.capabilities.values():
        # Whose rows move, its first owner follows afterwards.
        homes = (capability.home, capability.owner) if capability.kind == "write" else (capability.home,)
        for database in (config.homes[home].database for home in homes):
            if capability.tables and database is not None:
                applier.login(state, urls[database], superuser)


def prepare_state(root: Path) -> Path:
    """Make `.strangler` with its directories.

    Strangers may pass through it, as the embedded server's user must when root runs this, and list nothing.
    """
    state = root / STATE_DIRECTORY
    state.mkdir(exist_ok=True)
    state.chmod(0o711)
    (state / "logs").mkdir(mode=0o700, exist_ok=True)
    return state


def clear(state: Path) -> None:
    """Undo what a killed run left: processes, description, captured requests. Keep its logs as `*.log.1`."""
    last = board.load(state)
    if last and last.boot == board.boot_id():
        sweep.sweep(last.run, last.groups)
    (state / FILE_NAME).unlink(missing_ok=True)
    shutil.rmtree(state / "metrics", ignore_errors=True)  # counts of processes that are gone
    for log in (state / "logs").glob("*.log"):
        if log.name != "supervisor.log":  # ours, and open
            log.replace(log.with_suffix(".log.1"))
    make_capture_directory(state)


def make_capture_directory(state: Path) -> None:
    """An empty `.strangler/capture`: on tmpfs, linked, where the machine has one."""
    link = state / "capture"
    memory = Path("/dev/shm")  # nosec B108 # the directory's owner is checked below
    if not os.access(memory, os.W_OK):
        shutil.rmtree(link, ignore_errors=True)
        link.mkdir(mode=0o700)
        return
    name = hashlib.sha256(str(state).encode()).hexdigest()[:12]
    target = memory / f"strangler-{name}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700, exist_ok=True)
    status = target.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StranglerError(f"{target} belongs to somebody else. Nothing was started. Remove it.")
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _order_to_stop(lifeline: int | None) -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for order in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(order, stop.set)
    if lifeline is not None:

        def gone() -> None:
            loop.remove_reader(lifeline)
            stop.set()

        loop.add_reader(lifeline, gone)
    return stop


if __name__ == "__main__":
    main()
