"""The guard: looks every second whether a capability has to go back, and takes it back as `reverse` does.

Run by the supervisor as `python -m strangler.control.guard`. It never goes forward, and what it took back
stays there until a person names a phase. An operator at work isn't disturbed: it waits, and says so.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psycopg

from strangler import config as configuration
from strangler.control import backout
from strangler.control.backout import Watch
from strangler.control.desk import Desk, at_desk
from strangler.control.errors import ControlDatabaseAway
from strangler.control.gates import Gate
from strangler.control.phases import MONOLITH, SHADOW, Phase
from strangler.control.store import GUARD, Standing, Transition
from strangler.control.transition import take_back_at
from strangler.errors import StranglerError
from strangler.run import system as running

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0  # from a way back that failed to the next attempt


def look(desk: Desk, name: str) -> str:
    """Look at one capability, take it back if it must go, and write down what this look came to.

    Raises ControlDatabaseAway, and psycopg.Error where the comparator's record can't be read.
    """
    standing = desk.store.standing(name)
    sentence = _come_to(desk, name, standing)
    desk.store.saw(name, standing.revision, sentence)
    return sentence


def _come_to(desk: Desk, name: str, standing: Standing) -> str:
    for last in desk.store.history(name, 1):
        if last.by == desk.by and last.state in ("running", "failed"):
            return _finish(desk, last)
    if standing.phase == MONOLITH or standing.since is None:
        return "Nothing to watch: it hasn't left the monolith."
    capability = desk.capability(name)
    seen = desk.surroundings.watched(capability, standing.since)
    verdicts = backout.judge(capability, Watch(seen, desk.following(capability)))
    against = [one for one in verdicts if not one.passed]
    if not against:
        return f"Nothing speaks for going back: {_said(verdicts)}"
    if standing.phase == SHADOW:
        return f"No client is answered by {capability.home}, or it would be taken back. {_said(against)}"
    return _back(desk, name, SHADOW, standing.revision, _said(against))


def _finish(desk: Desk, last: Transition) -> str:
    """Go on with a way back of the guard's own that failed or was cut short, unless it is too soon."""
    if last.finished and desk.store.seconds_since(last.finished) < AGAIN_SECONDS:
        return f"Couldn't take it back to {last.target}, and tries again soon. {last.detail}"
    revision = desk.store.standing(last.capability).revision
    return _back(desk, last.capability, last.target, revision, last.because)


def _back(desk: Desk, name: str, target: Phase, revision: int, because: str) -> str:
    try:
        # Had an operator moved it meanwhile, this evidence would be of another phase.
        done = take_back_at(desk, name, target, at_revision=revision, because=because)
    except ControlDatabaseAway:
        raise
    except StranglerError as error:
        return f"Has to go back to {target}, and couldn't: {error} The evidence: {because}"
    if done is None:
        return f"Nothing left to do: it stands at {desk.store.standing(name).phase}."
    return f"Took it back to {target}. {because}"


def _said(verdicts: Sequence[Gate]) -> str:
    return " ".join(one.sentence for one in verdicts if one.sentence)


# ── The process ──────────────────────────────────────────────────────────────────────────────────


def serve(root: Path, stop: threading.Event) -> None:
    """Look at whatever system is described under `root`, until `stop` is set.

    A system that starts anew and an edited strangler.toml are noticed. What can't be asked is said once, and
    asked again; nothing moves meanwhile.
    """
    said = ""
    while not stop.is_set():
        try:
            _watch(root, stop)
            said = ""
        except (StranglerError, psycopg.Error, OSError) as error:
            if (sentence := f"{error} Nothing is taken back until that is mended.") != said:
                print(sentence, file=sys.stderr, flush=True)
            said = sentence
        stop.wait(LOOK_SECONDS)


def _watch(root: Path, stop: threading.Event) -> None:
    """Look again and again, as long as the system and strangler.toml are the same."""
    stamps, system = running.stamps(root), running.load(root)
    if system is None:
        return
    config = configuration.load(root)
    names = sorted(name for name, one in config.capabilities.items() if one.kind == "read")
    sentences: dict[str, str] = {}
    with at_desk(config, system, GUARD) as desk:
        while not stop.is_set() and running.stamps(root) == stamps:
            for name in names:
                before, sentences[name] = sentences.get(name), look(desk, name)
                if sentences[name].startswith(("Took", "Has to")) and sentences[name] != before:
                    print(f"{name}: {sentences[name]}", file=sys.stderr, flush=True)
            stop.wait(LOOK_SECONDS)


def _lives(root: Path) -> None:
    """Raise StranglerError unless the guard has looked a moment ago; for a container's health."""
    system, config = running.load(root), configuration.load(root)
    if system is None:
        raise StranglerError("No system is described here, so there is nothing to look at.")
    with at_desk(config, system, GUARD) as desk:
        for name, one in config.capabilities.items():
            last = desk.store.looked(name)
            if one.kind == "read" and not (last and last.lives):
                raise StranglerError(f"The guard hasn't looked at {name} for a while.")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path("."), help="the directory that holds strangler.toml"
    )
    parser.add_argument(
        "--check", action="store_true", help="end with 0 if the guard has looked a moment ago, else with 1"
    )
    options = parser.parse_args()
    root = options.root.resolve()
    if options.check:
        try:
            return _lives(root)
        except StranglerError as reason:
            sys.exit(str(reason))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve(root, stop)


if __name__ == "__main__":
    main()
