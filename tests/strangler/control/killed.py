"""Begins a move and kills itself at a point of it: `python killed.py ROOT CONTROL_URL VERB PHASE POINT`.

POINT is the number of the effect that is about to begin, `publish` (the gateway has taken the routes, and
nobody has been told) or `finish` (every effect is done, and the transition has not been ended).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from strangler.control import transition
from strangler.control.desk import Desk
from strangler.control.phases import Phase
from strangler.control.store import Store, connect
from tests.fakes.control_surroundings import LastingSurroundings
from tests.strangler.control.wanted import a_system, only_catalog_read


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(root: Path, control_url: str, verb: str, phase: str, point: str) -> None:
    class Doomed(Store):
        def finish(self, transition: int, state: str, detail: str = "") -> None:
            if point == "finish" and state == "done":
                die()
            super().finish(transition, state, detail)

    effects = []

    def begun(effect: object) -> None:
        if point == str(len(effects)):
            die()
        effects.append(effect)

    store = connect(a_system(root, control_url))
    store.__class__ = Doomed
    world = LastingSurroundings(root / "world.json", die if point == "publish" else lambda: None)
    desk = Desk(only_catalog_read(root), store, world, "anna@loom")
    if verb == "cancel":
        transition.cancel_at(desk, "catalog.read", begun=begun)
    else:
        act = transition.advance_at if verb == "apply" else transition.take_back_at
        act(desk, "catalog.read", Phase.parse(phase), begun=begun)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
