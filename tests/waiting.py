"""Waiting for what others do until it is so; and a clock by which somebody else's waiting is measured."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0  # seconds for anything that is awaited, on a machine that may be busy
LOOK_AGAIN = 0.02  # seconds


def until(
    true: Callable[[], object], *, within: float = PATIENCE, said: Callable[[], object] = lambda: ""
) -> None:
    """Wait for something; fail where it doesn't come, with what `said` tells then."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"it didn't come to that within {within:g} s. {said()}"
        time.sleep(LOOK_AGAIN)


class Clock:
    """Stands where a module has `time`, and goes on only while somebody sleeps; `meanwhile` is done then."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.slept = 0.0
        self._meanwhile = meanwhile

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._meanwhile()
