"""A few clients that write through the gateway all the time, and keep account of what they were told."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

CLIENTS, PAUSE_SECONDS = 3, 0.1
CHANGES = 4  # every so many writes one changes a rug that is there already
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class LightLoad:
    """What was accepted, and what nobody knows of: sent, and answered by an error or by nothing."""

    url: str
    accepted: set[int] = field(default_factory=set)
    unknown: dict[int, str] = field(default_factory=dict)
    changed: Counter[int] = field(default_factory=Counter)
    perhaps_changed: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    def __post_init__(self) -> None:
        self._numbers, self._stop = count(1), threading.Event()
        self._sending = [threading.Lock() for _ in range(CLIENTS)]

    @contextmanager
    def busy(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(lock,)) for lock in self._sending]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is under way within the block."""
        for lock in self._sending:
            lock.acquire()
        try:
            yield
        finally:
            for lock in self._sending:
                lock.release()

    def write(self) -> int:
        """One write more; its number. Accounts for what came of it."""
        number = next(self._numbers)
        target = number // CHANGES if number % CHANGES == 0 else None
        known = target in self.accepted
        began = time.monotonic()
        said = self._send(f"{target}/", None) if known else self._send("", {"number": number})
        self.longest = max(self.longest, time.monotonic() - began)
        match known, said:
            case True, None:
                self.changed[target] += 1
            case True, _:
                self.perhaps_changed[target] += 1
                self.unknown[number] = f"change of {target}: {said}"
            case False, None:
                self.accepted.add(number)
            case _:
                self.unknown[number] = said
        return number

    def _run(self, sending: threading.Lock) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            with sending:
                self.write()

    def _send(self, path: str, body: dict | None) -> str | None:
        """None where it was accepted; else what was said instead."""
        request = urllib.request.Request(
            f"{self.url}/api/rugs/{path}",
            method="POST" if body else "PATCH",
            data=json.dumps(body).encode() if body else b"",
            headers={"content-type": "application/json"},
        )
        try:
            with _opener.open(request, timeout=30) as answer:
                answer.read()
            return None
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code} {error.read()[:80].decode(errors='replace')}"
        except OSError as error:
            return repr(error)

    def wrong_rows(self, there: dict[int, tuple[int, float, int]]) -> str | None:
        """What is lost, doubled or made up among rows by number: id, price and knots of each."""
        if lost := self.accepted - there.keys():
            return f"accepted and lost: {sorted(lost)[:5]}"
        if made_up := there.keys() - self.accepted - self.unknown.keys():
            return f"never sent: {sorted(made_up)[:5]}"
        for number, (_, price, knots) in there.items():
            least = 1 + self.changed[number]
            if knots != 1 or not least <= price <= least + self.perhaps_changed[number]:
                return (
                    f"rug {number} has {knots} knots, and costs {price} after {self.changed[number]} changes"
                )
        return None
