"""Keeps rows at a home equal to their owner's: `python -m strangler.movement.follower HOME`.

A process of its own, which may be killed at any moment and started again. It idles until a capability is to
follow (`orders`), waits for the system, for databases that are away and for schemas that differ, says once
why, and tries again. Beside that it verifies, round after round.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg

from strangler import config as configuration
from strangler.chassis import logs
from strangler.config import Config
from strangler.errors import ConfigError, StranglerError, UsageError
from strangler.movement import applier, orders, word
from strangler.movement.backfill import Progress
from strangler.movement.errors import FollowFailed
from strangler.movement.follow import Following, following
from strangler.movement.orders import Orders
from strangler.movement.tables import connection
from strangler.movement.tables import sentence as said_by
from strangler.movement.verifier import Verifier
from strangler.movement.watch import Watch
from strangler.movement.word import Word
from strangler.run import system as running
from strangler.run.system import System

logger = logging.getLogger("strangler.follower")
PAUSE_SECONDS = 0.05  # between two looks at an owner that wrote nothing; most of the lag under light writes
IDLE_SECONDS = 0.2  # between two looks for an order
RETRY_SECONDS = 2.0
REPORT_SECONDS = 10.0


def serve(root: Path, home: str, stop: threading.Event, login: str | None = None) -> None:
    """Follow for whatever system is described under `root`, until `stop` is set.

    `login` is the URL of the applier; None: the kit makes one at the follower.
    """
    said = None
    while not stop.is_set():
        sentence = None
        try:
            system = running.load(root)
            if system is not None:
                _Follower(configuration.load(root), system, home, stop, login).run()
                continue
            sentence = f"Nothing runs under {root}; waiting for it."
        except StranglerError as reason:
            sentence = str(reason)
        if sentence != said:
            _say(sentence)
        said = sentence
        stop.wait(RETRY_SECONDS)


class _Follower:
    """One home of one running system."""

    def __init__(
        self, config: Config, system: System, home: str, stop: threading.Event, login: str | None
    ) -> None:
        self.config, self.system, self.stop, self.login = config, system, stop, login
        self.url = _database(config, system, home)
        self.over = threading.Event()  # stops the threads
        self.word = Word(self.url, self.over)
        self.verifier = Verifier(
            self.url,
            lambda: self.word.orders,
            lambda owner: _database(config, system, owner),
            self.over,
            _say,
        )

        self.watch = Watch(config, system, home, self.over, _say)

    def run(self) -> None:
        """Obey what is ordered, and say why where it can't be, until another system is described."""
        self.word.start()
        self.verifier.start()
        self.watch.start()
        try:
            self._obey()
        finally:
            self.over.set()

    def _obey(self) -> None:
        said = None
        while not self.stop.is_set() and running.load(self.config.root) == self.system:
            try:
                if not self.word.orders:
                    self.word.holds(None)
                    self.stop.wait(IDLE_SECONDS)
                    continue
                self._follow()
                said = None
                self.stop.wait(IDLE_SECONDS)  # until what is ordered now has been read
                continue
            except StranglerError as reason:
                sentence = str(reason)
            except psycopg.Error as error:
                sentence = f"Nothing is applied: {said_by(error)} It is tried again."
            self.word.holds(sentence)
            if sentence != said:
                _say(sentence)
            said = sentence
            self.stop.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        """Follow as ordered, until something else is ordered."""
        with ExitStack() as until_else, ExitStack() as until_begun:
            asked = until_begun.enter_context(connection(self.url, "follower"))
            until_begun.enter_context(asked.transaction())
            wanted = orders.ordered(asked, holding=True)  # nobody cancels between this and the capture
            if not wanted:
                return
            owner, tables = _one_stream(wanted)
            source = _database(self.config, self.system, owner)
            login = self.login or applier.login(self.system.state, self.url, source)
            self.word.begins()
            stream = until_else.enter_context(following(source, login, tables, progress=self._tell))
            until_begun.close()
            self.word.holds(None)
            _say(f"{', '.join(wanted)} follows {owner}: {', '.join(tables)}.")
            self._steps(stream, wanted)

    def _steps(self, stream: Following, wanted: Orders) -> None:
        reported = time.monotonic()
        while not self.stop.is_set() and self.word.orders in (wanted, None):
            idle = stream.step().idle
            if time.monotonic() - reported > REPORT_SECONDS:
                lag, reported = stream.lag(), time.monotonic()
                _say(f"{lag.rows:,} rows and {lag.seconds:.2f} s behind.")
                if running.load(self.config.root) != self.system:
                    return
            if idle:
                self.stop.wait(PAUSE_SECONDS)

    def _tell(self, now: Progress) -> None:
        self.word.copies(now)
        _say(f"{now.table}: {now.rows:,} of {now.total:,} rows.")


def check(root: Path, home: str) -> int:
    """Exit code 0 if a follower of `home` has spoken a moment ago, else 1 and a sentence."""
    try:
        system = running.load(root)
        if system is None:
            raise FollowFailed(f"Nothing runs under {root}, so nothing follows.")
        age = word.age(_database(configuration.load(root), system, home))
        if age is None or age > word.WITHIN_SECONDS:
            raise FollowFailed(
                "No follower has ever spoken." if age is None else f"Its last word is {age:.0f} s old."
            )
    except StranglerError as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


def _database(config: Config, system: System, home: str) -> str:
    """The URL of a home's database."""
    if home not in config.homes or config.homes[home].database is None:
        raise UsageError(f"There is no home {home!r} with a database in strangler.toml. Nothing follows.")
    return system.databases[config.homes[home].database or ""]


def _one_stream(wanted: Orders) -> tuple[str, tuple[str, ...]]:
    """The home that is followed, and all tables: a home has one stream, and so one watermark."""
    owners = {owner for owner, _ in wanted.values()}
    if len(owners) > 1:
        raise FollowFailed(f"A home follows one other, not {' and '.join(sorted(owners))}. Nothing follows.")
    tables = (table for _, tables in wanted.values() for table in tables)
    return owners.pop(), tuple(dict.fromkeys(tables))


def _say(sentence: str) -> None:
    logger.info("%s", sentence)


def main() -> None:
    """Run until SIGTERM or SIGINT; the step that is under way is finished."""
    parser = argparse.ArgumentParser(prog="python -m strangler.movement.follower", description=__doc__)
    parser.add_argument("home", help="whose rows follow, as ordered")
    parser.add_argument(
        "--root", type=Path, default=Path("."), help="the directory that holds strangler.toml"
    )
    parser.add_argument(
        "--as",
        dest="login",
        metavar="URL",
        default=os.environ.get("STRANGLER_APPLIER_URL"),
        help="the home's database, with the applier's login "
        "[default: $STRANGLER_APPLIER_URL, or one is made]",
    )
    parser.add_argument(
        "--check", action="store_true", help="only say whether a follower lives: 0 if it does, 1 if not"
    )
    arguments = parser.parse_args()
    with suppress(ConfigError):  # a file that is mended while this waits
        homes = configuration.load(arguments.root.resolve()).homes
        if arguments.home not in homes:
            parser.error(f"no home is called {arguments.home!r}, but {', '.join(homes)}; nothing follows")
    if arguments.check:
        sys.exit(check(arguments.root.resolve(), arguments.home))
    logs.to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve(arguments.root.resolve(), arguments.home, stop, arguments.login)


if __name__ == "__main__":
    main()
