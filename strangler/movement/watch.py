"""Ends switches that nobody ends: past its fence's deadline one is undone, or finished if it has committed.

Runs in every follower's process, so that whoever was killed or paused, some home is left that does it. Writes
are routed to whoever owns the rows; what is recorded of the move waits for the next verb.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from strangler.config import Capability, Config
from strangler.control.desk import at_desk
from strangler.control.transition import route_to_owner
from strangler.errors import StranglerError
from strangler.movement.ownership import Verdict
from strangler.movement.sides import sides
from strangler.movement.switch import Side, recover
from strangler.run.system import System

EVERY_SECONDS = 2.0
DID = {
    Verdict.UNDONE: "undone, and its fence lowered: nobody ended it before its deadline",
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
        self._said: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look; it ends with the process, or when `stop` is set."""
        if self._watched:
            self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            for one in self._watched:
                self._tell(one.name, self._look(one))

    def _look(self, one: Capability) -> str:
        """End what is late, and route writes to their owner; what was done, or why it couldn't be."""
        said = []
        try:
            first, second = sides(self._config, one, self._system)
            did = recover(one.name, Side(one.owner, first, ""), Side(one.home, second, ""), only_late=True)
            said += [f"A switch of {one.name} was {DID[did]}."] if did in DID else []
            with at_desk(self._config, self._system, "follower") as desk:
                if route_to_owner(desk, one.name):
                    said.append(f"Writes of {one.name} are routed to the home that owns their rows.")
        except StranglerError as reason:
            said.append(str(reason))
        return " ".join(said)

    def _tell(self, name: str, sentence: str) -> None:
        if sentence and sentence != self._said.get(name):
            self._say(sentence)
        self._said[name] = sentence
