"""Keeps a capability's rows at its new home equal to the owner's: `python -m strangler.movement.follower`.

A process of its own, which may be killed at any moment and started again. It waits for the system, for
databases that are away and for schemas that differ, says once why, and tries again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from strangler import config as configuration
from strangler.errors import StranglerError
from strangler.movement import applier
from strangler.movement.backfill import Progress
from strangler.movement.commands import databases
from strangler.movement.follow import Following, following
from strangler.run import databases as known
from strangler.run import system as running
from strangler.run.system import System

PAUSE_SECONDS = 0.05  # between two looks at an owner that wrote nothing; most of the lag under light writes
RETRY_SECONDS = 2.0
REPORT_SECONDS = 10.0


def serve(root: Path, capability: str, stop: threading.Event, login: str | None = None) -> None:
    """Follow for whatever system is described under `root`, until `stop` is set.

    `login` is the URL of the applier; None: the kit makes one at the follower.
    """
    said = None
    while not stop.is_set():
        system = running.load(root)
        try:
            if system is not None:
                _follow(root, system, capability, stop, login)
                continue
            sentence = f"Nothing runs under {root}; waiting for it."
        except StranglerError as reason:
            sentence = str(reason)
        if sentence != said:
            _say(sentence)
        said = sentence
        stop.wait(RETRY_SECONDS)


def _follow(root: Path, system: System, name: str, stop: threading.Event, login: str | None) -> None:
    config = configuration.load(root)
    capability = config.capability(name)
    source, target = databases(config, capability, system)
    if login is None:
        password = known.password_of(system.state, f"applier/{known.without_password(target)}")
        login = applier.ensure(target, source, password)
    with following(source, login, capability.tables, progress=_tell_progress) as stream:
        _say(f"{name} follows {capability.owner}: {', '.join(capability.tables)}.")
        _steps(stream, name, stop)


def _steps(stream: Following, name: str, stop: threading.Event) -> None:
    reported = time.monotonic()
    while not stop.is_set():
        idle = stream.step().idle
        if time.monotonic() - reported > REPORT_SECONDS:
            lag, reported = stream.lag(), time.monotonic()
            _say(f"{name} is {lag.rows:,} rows and {lag.seconds:.2f} s behind.")
        if idle:
            stop.wait(PAUSE_SECONDS)


def _tell_progress(now: Progress) -> None:
    _say(f"{now.table}: {now.rows:,} of {now.total:,} rows.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> None:
    """Run until SIGTERM or SIGINT; the step that is under way is finished."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capability", help="whose tables follow")
    parser.add_argument(
        "--root", type=Path, default=Path("."), help="the directory that holds strangler.toml"
    )
    parser.add_argument(
        "--as", dest="login", metavar="URL", help="the follower's database, with the applier's login"
    )
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve(arguments.root.resolve(), arguments.capability, stop, arguments.login)


if __name__ == "__main__":
    main()
