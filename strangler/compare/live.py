"""The comparator: takes captured requests, asks the other home off the request's path, keeps what came of it.

Run by the supervisor as `python -m strangler.compare.live`. Nothing here can slow a client down: the gateway
has answered long before a file is read. What doesn't fit into the queue is dropped, and counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import logging
import random
import signal
import time
from pathlib import Path

import psycopg

from strangler import config as configuration
from strangler.chassis import logs
from strangler.compare import asking, freshness, recording, store
from strangler.compare.asking import Asker
from strangler.compare.callers import Exchange, caller_of
from strangler.compare.capture import Captured, CaptureDirectory
from strangler.compare.errors import CouldNotAsk
from strangler.compare.footing import Laid
from strangler.compare.ignores import Ignores
from strangler.compare.look import Look
from strangler.compare.observation import (
    ANONYMOUS,
    NO_TOKEN,
    NOBODY,
    TRUNCATED,
    UNDECODED,
    Caller,
    Observation,
    Request,
    could_not_ask,
)
from strangler.compare.shape import fingerprint
from strangler.compare.tally import Tally
from strangler.compare.versions import Versions
from strangler.config import Config
from strangler.control.phases import MONOLITH
from strangler.control.store import Store as Phases
from strangler.control.store import connect as connect_phases
from strangler.errors import StranglerError
from strangler.run import system as running
from strangler.run.system import System

logger = logging.getLogger("strangler.comparator")

POLL_SECONDS = 0.05
FLUSH_SECONDS = 0.5
FORGET_SECONDS = 3600.0
DRAIN_SECONDS = 3.0
CONCURRENCY = 4  # requests in comparison at a time; each asks one home at a time
# A bound on p95 takes dozens of pairs, so thin traffic is timed more often than `compare.control` says.
PAIRS_PER_SECOND = 2.0


class Comparator:
    """Compares what one running system captures, until it is told to stop."""

    def __init__(self, config: Config, system: System) -> None:
        self.config, self.system = config, system
        self.directory = CaptureDirectory(system.capture_directory)
        self.queue: asyncio.Queue[tuple[Captured, bool]] = asyncio.Queue(max(1, config.compare.queue))
        self.tallies = {name: Tally(one) for name, one in config.reads.items()}
        self.recordings = {
            name: recording.Recording(recording.path_of(config.root, name), config.compare.record)
            for name in config.reads
        }
        self.freshness = {name: freshness.of(config, system, one) for name, one in config.reads.items()}
        # What has left the monolith. Before, the other home may hold no rows: requests are recorded, and not
        # compared.
        self.compared: frozenset[str] = frozenset()
        self._phases: Phases | None = None
        self._pairs_from, self._pairs, self._turn = time.monotonic(), 0, 0
        self._kept: store.Store | None = None
        self._laid: dict[str, Laid] = {}  # what was written down last
        self._anew: dict[str, float] = {}  # when evidence began anew while this runs
        self._complained = False

    async def run(self, stop: asyncio.Event) -> None:
        """Compare until `stop` is set; then finish what was begun, count the rest as dropped, store it."""
        async with asking.session(CONCURRENCY) as session:
            self._asker = Asker(session, self.system.homes)
            owner, gateway = self.config.gateway.default, self.config.gateway
            self._exchange = gateway.exchange and Exchange(
                session, self.system.homes[owner] + gateway.exchange, owner, gateway.session_cookie
            )
            self._versions = Versions(session, self.system.homes)
            await self._versions.ask()
            await self._store(forget=False)  # learns what is compared before the first request is taken
            versions = asyncio.create_task(self._versions.go_on())
            workers = [asyncio.create_task(self._work()) for _ in range(CONCURRENCY)]
            done = asyncio.Event()
            storing = asyncio.create_task(self._store_until(done))
            try:
                while not stop.is_set():
                    self._take_in()
                    await _either(stop, POLL_SECONDS)
                await asyncio.wait([asyncio.create_task(self.queue.join())], timeout=DRAIN_SECONDS)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                while not self.queue.empty():
                    left, compared = self.queue.get_nowait()
                    if compared:
                        self._count(left, dropped=True)
                done.set()
                await storing
                versions.cancel()
                for one in self.freshness.values():
                    await one.close()
                for connection in (self._kept, self._phases):
                    if connection is not None:
                        connection.close()

    def _take_in(self) -> None:
        for captured in self.directory.take(self.queue.maxsize - self.queue.qsize()):
            if captured.capability in self.tallies:
                self.queue.put_nowait((captured, captured.capability in self.compared))
        for name, count in self.directory.take_swept().items():
            if name in self.compared:
                now = int(time.time())
                self.tallies[name].captured[now] += count
                self.tallies[name].dropped[now] += count

    async def _work(self) -> None:
        while True:
            captured, compared = await self.queue.get()
            # What was captured before evidence began anew counts no longer: no time is spent on comparing it.
            compared = compared and captured.at >= self._anew.get(captured.capability, 0.0)
            try:
                if observation := await self._observe(captured, compared):
                    self.tallies[captured.capability].add(observation)
            except Exception as error:
                # Coverage falls by this request, which holds the gate; the log says why.
                _say(f"{captured!r} couldn't be compared: {error!r}")
            finally:
                if compared:  # counted with its outcome, so that what is under way lowers no coverage
                    self._count(captured)
                self.queue.task_done()

    def _count(self, captured: Captured, *, dropped: bool = False) -> None:
        answer = captured.answer
        self.tallies[captured.capability].take(captured.at, answer.home, answer.status, dropped=dropped)

    async def _observe(self, captured: Captured, compared: bool) -> Observation | None:
        """Record the request; what came of comparing it, or None where it isn't to be compared."""
        capability, answer = self.config.capabilities[captured.capability], captured.answer
        route = capability.route_of(captured.method, captured.target)
        try:
            token = await self._token(captured)
        except CouldNotAsk as error:
            reason = could_not_ask(error.home)
            return _not_comparable(captured, str(route), ANONYMOUS, reason) if compared else None
        caller = caller_of(token or "", self.config.compare.kind_claim)
        for hinders, reason in (
            (route is None or answer.home not in (capability.owner, capability.home), NOBODY),
            (token is None, NO_TOKEN),
            (captured.truncated, TRUNCATED),
            (captured.undecoded, UNDECODED),
        ):
            if hinders:
                return _not_comparable(captured, str(route), caller, reason) if compared else None
        assert route is not None

        request = _request(captured, caller)
        shape = fingerprint(str(route), request)
        self.recordings[capability.name].add(recording.record_of(shape, request, answer.status, answer.body))
        if not compared:
            return None
        again = random.random() < self.config.compare.control
        timed = again or self._too_few_pairs()
        self._turn += 1
        ignores = Ignores(self.config.compare.ignores, datetime.date.today())
        return await Look(capability, self._asker, ignores, self.freshness[capability.name]).observe(
            route,
            request,
            token or "",
            at=captured.at,
            given=answer,
            timed=timed,
            again=again,
            candidate_first=bool(self._turn % 2),
        )

    async def _token(self, captured: Captured) -> str | None:
        """The caller's token: passed through or exchanged, "" for anonymous, None if it can't be had."""
        kind, _, token = captured.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return token.strip()
        if kind:
            return None
        session = _cookie(captured.headers.get("cookie", ""), self.config.gateway.session_cookie)
        if not session:
            return ""
        return await self._exchange.token(session) if self._exchange else None

    def _too_few_pairs(self) -> bool:
        """Whether pairs are timed more slowly than they are needed; never more than two a second in all."""
        self._pairs += 1
        elapsed = time.monotonic() - self._pairs_from
        if elapsed > 10:
            self._pairs_from, self._pairs = time.monotonic(), 1
            return True
        if self._pairs <= 1 + PAIRS_PER_SECOND * elapsed:
            return True
        self._pairs -= 1
        return False

    async def _store_until(self, done: asyncio.Event) -> None:
        forgotten = -FORGET_SECONDS
        while True:
            last = done.is_set()
            forget = time.monotonic() - forgotten > FORGET_SECONDS
            stored = await self._store(forget)
            if stored and forget:
                forgotten = time.monotonic()
            if last:
                if not stored:
                    await self._store(forget)  # an old connection fails once; this is over a new one
                return
            await _either(done, FLUSH_SECONDS)

    async def _store(self, forget: bool) -> bool:
        """Write the sums and begin new ones. If the database is away they are kept and written next time."""
        for one in self.recordings.values():
            one.flush()
        full = [tally for tally in self.tallies.values() if tally]
        # The workers go on adding, so the thread that writes gets the sums to itself.
        self.tallies |= {tally.capability.name: Tally(tally.capability) for tally in full}
        try:
            await asyncio.to_thread(self._look_at_phases)
            await asyncio.to_thread(self._write, full, forget)
            self._complained = False
        except (StranglerError, psycopg.Error) as error:
            for tally in full:
                self.tallies[tally.capability.name].merge(tally)
            if not self._complained:
                _say(f"{error} What was compared is kept in memory and stored when the database is back.")
            self._complained = True
        return not self._complained

    def _look_at_phases(self) -> None:
        """Learn which capabilities are compared; a control database that is away changes nothing."""
        if self._phases is None:
            self._phases = connect_phases(self.system)
        try:
            phases = self._phases.phases()
        except StranglerError:
            self._phases.close()
            self._phases = None
            raise
        self.compared = frozenset(name for name in self.tallies if phases.get(name, MONOLITH) != MONOLITH)

    def _write(self, tallies: list[Tally], forget: bool) -> None:
        if self._kept is None:
            self._kept = store.open_store(self.system)
        try:
            for name, capability in self.config.reads.items():
                footing = self._versions.footing(self.config, capability)
                before = self._laid.get(name)
                if before is None or before.footing != footing:
                    self._laid[name] = laid = self._kept.lay(name, footing)
                    if before and laid != before:
                        self._anew[name] = laid.since.timestamp()
            if tallies:
                self._kept.write(tallies)
            if forget:
                self._kept.forget()
        except psycopg.Error:
            self._kept.close()
            self._kept = None
            raise


def _request(captured: Captured, caller: Caller) -> Request:
    headers = captured.headers
    return Request(
        captured.method,
        captured.target,
        headers.get(":authority", headers.get("host", "")),
        caller,
        headers.get("accept", ""),
        headers.get("accept-language", ""),
    )


def _cookie(header: str, name: str) -> str:
    """A cookie's value as it was sent, "" without one. Lenient as Django is: http.cookies drops the whole
    header for one bad cookie in it, and would make an anonymous of a caller who is logged in."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {key: value for key, _, value in pairs}.get(name, "")


def _not_comparable(captured: Captured, route: str, caller: Caller, reason: str) -> Observation:
    return Observation(
        capability=captured.capability,
        route=route,
        request=_request(captured, caller),
        at=captured.at,
        outcome="not comparable",
        reason=reason,
    )


async def serve(root: Path, stop: asyncio.Event) -> None:
    """Compare for whatever system is described under `root`, from when it is there until `stop` is set.

    A system that starts anew, and an edited strangler.toml, are noticed within a second.
    """
    while not stop.is_set():
        stamps, system = running.stamps(root), running.load(root)
        config: Config | None = None
        if system is not None:
            try:
                config = configuration.load(root)
            except StranglerError as error:
                _say(f"{error} Nothing is compared until that is mended.")
        changed = asyncio.Event()
        watching = asyncio.create_task(_watch(root, stamps, stop, changed))
        if system is None or config is None:
            await changed.wait()
        else:
            _say(f"Comparing what {system.capture_directory} holds.")
            await Comparator(config, system).run(changed)
        await watching


async def _watch(root: Path, stamps: object, stop: asyncio.Event, changed: asyncio.Event) -> None:
    try:
        while not stop.is_set() and running.stamps(root) == stamps:
            await _either(stop, 1.0)
    finally:
        changed.set()


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than this."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _say(sentence: str) -> None:
    logger.info("%s", sentence)


async def _main(root: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(root, stop)


def main() -> None:
    """Run until SIGTERM or SIGINT; what was compared by then is stored."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path("."), help="the directory that holds strangler.toml"
    )
    arguments = parser.parse_args()
    logs.to_stderr()
    asyncio.run(_main(arguments.root.resolve()))


if __name__ == "__main__":
    main()
