"""An operator who stops before an effect: `python -m tests.journeys.paused_operator ROOT PHASE NUMBER`.

Says "here" before the effect of that number (from 0), and goes on when it is sent a line.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from strangler import config as configuration
from strangler.control.desk import at_desk
from strangler.control.effects import Effect
from strangler.control.phases import SWITCHED, Phase
from strangler.control.transition import advance_at, take_back_at
from strangler.errors import StranglerError
from strangler.run import system as running
from tests.journeys.switching import NAME

NAMED = "bert@journey"


def main(root: Path, phase: Phase, before: int) -> None:
    """Move to `phase`; ends with 1 and a sentence where that fails."""
    numbers = count()

    def begun(effect: Effect) -> None:
        if next(numbers) == before:
            print("here", flush=True)
            sys.stdin.readline()

    system = running.load(root)
    assert system
    try:
        with at_desk(configuration.load(root), system, NAMED) as desk:
            if phase == SWITCHED:
                advance_at(desk, NAME, phase, wait=30, begun=begun)
            else:
                take_back_at(desk, NAME, phase, begun=begun)
    except StranglerError as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Phase.parse(sys.argv[2]), int(sys.argv[3]))
