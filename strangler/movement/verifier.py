"""Verification that never ends: round after round over a capability's rows, each recorded for the gate.

At a pace that leaves the owner alone nine tenths of the time, see `Pace`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from strangler.errors import StranglerError
from strangler.movement import rounds
from strangler.movement.errors import MovementError
from strangler.movement.orders import Orders
from strangler.movement.state import follow_state
from strangler.movement.verify import Pace, Verified, verify

ROUND_SECONDS = 5.0  # from the end of a round to the beginning of the next
IDLE_SECONDS = 1.0  # between two looks for tables that follow


def rounds_without_end(
    source_url: str, target_url: str, capability: str, tables: Sequence[str]
) -> Iterator[Verified]:
    """Verify and record, again and again. MovementError ends it; it is recorded as well."""
    while True:
        yield one_round(source_url, target_url, capability, tables)
        time.sleep(ROUND_SECONDS)


def one_round(source_url: str, target_url: str, capability: str, tables: Sequence[str]) -> Verified:
    """Verify at a pace, and record what was found, or why nothing could be."""
    try:
        found = verify(source_url, target_url, tables, pace=Pace())
    except MovementError as reason:
        rounds.record_problem(target_url, capability, tables, str(reason))
        raise
    rounds.record(target_url, capability, found)
    return found


class Verifier:
    """Verifies what a follower follows, on a thread of its own in the follower's process.

    `orders` gives what is ordered now, `database` a home's URL; what is found is told to `say`.
    """

    def __init__(
        self,
        target_url: str,
        orders: Callable[[], Orders | None],
        database: Callable[[str], str],
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self._target, self._orders, self._database = target_url, orders, database
        self._stop, self._say = stop, say
        self._said: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="verifier", daemon=True)

    def start(self) -> None:
        """Begin; it ends with the process, or when `stop` is set."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(IDLE_SECONDS):
            for capability, (owner, tables) in (self._orders() or {}).items():
                try:
                    source = self._database(owner)
                    if not follow_state(source, self._target, capability, tables).follows:
                        continue
                    found = one_round(source, self._target, capability, tables)
                    said = "equal" if found.equal else found.reason
                except StranglerError as reason:
                    said = str(reason)
                if said != self._said.get(capability):
                    self._say(f"{capability} verified: {said}")
                self._said[capability] = said
                self._stop.wait(ROUND_SECONDS)
