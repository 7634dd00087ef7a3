"""Ends switches that nobody ends: past its fence's deadline one is undone, or finished if it has committed.

Runs in every follower's process, so that whoever was killed or paused, some home is left that does it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from strangler.config import Config
from strangler.errors import StranglerError
from strangler.movement.ownership import Verdict
from strangler.movement.sides import sides
from strangler.movement.switch import Side, recover
from strangler.run.system import System

EVERY_SECONDS = 2.0
DID = {
    Verdict.UNDER_WAY: "undone: its operator didn't come back before the fence's deadline",
    Verdict.UNDONE: "undone: its fence is lowered",
    Verdict.DECIDED: "finished: it had passed its commit point",
}

Say = Callable[[str], None]


class Watch:
    """Looks after every capability whose rows `home` owns or follows, until `stop` is set."""

    def __init__(self, config: Config, system: System, home: str, stop: threading.Event, say: Say) -> None:
        self._config, self._system, self._stop, self._say = config, system, stop, say
        self._watched = [
            one
            for one in config.capabilities.values()
            if one.kind == "write" and one.tables and home in (one.owner, one.home)
        ]
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look; it ends with the process, or when `stop` is set."""
        if self._watched:
            self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                for one in self._watched:
                    first, second = sides(self._config, one, self._system)
                    found = recover(
                        one.name, Side(one.owner, first, ""), Side(one.home, second, ""), only_late=True
                    )
                    if found in DID and found is not Verdict.UNDER_WAY:
                        self._tell(f"A switch of {one.name} was {DID[found]}.")
                self._said = ""
            except StranglerError as reason:
                self._tell(str(reason))

    def _tell(self, sentence: str) -> None:
        if sentence != self._said:
            self._say(sentence)
        self._said = sentence
