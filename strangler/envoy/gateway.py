"""Envoy as the rest of the kit sees it: prepared, started, told something else, asked how it stands."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from strangler.config import Config
from strangler.control.phases import Phase
from strangler.envoy.admin import Admin, State
from strangler.envoy.bootstrap import bootstrap
from strangler.envoy.errors import GatewayUnreachable, SnapshotRefused
from strangler.envoy.listener import access_log_path
from strangler.envoy.shelf import Shelf
from strangler.envoy.snapshot import CDS, LDS, RDS, Snapshot, render
from strangler.envoy.validate import binary, validate
from strangler.run.system import System

# Envoy takes a file within milliseconds; a home that it didn't know waits for its first health check.
ACKNOWLEDGED_SECONDS = 5.0
_POLL_SECONDS = 0.002
_WORKERS = 2


@dataclass(frozen=True)
class Description:
    """How the gateway stands. `revision` is the one that it has taken; None where it doesn't answer, or has
    not taken what lies in place, and `detail` says which. `rejected` counts refusals since Envoy started."""

    revision: str | None
    rejected: int
    ready: bool
    detail: str = ""


def prepare(config: Config, system: System, phases: Mapping[str, Phase] | None = None) -> None:
    """Put everything in place that Envoy needs to start: bootstrap, current snapshot, directories.

    The phases are those that the control database records, unless given. Raises SnapshotRefused if Envoy
    wouldn't take the snapshot; then the files of the last start are still there.
    """
    if phases is None:
        from strangler.control.store import connect

        with connect(system) as store:
            phases = store.phases()
    shelf = Shelf(system)
    with shelf.locked():
        access_log_path(system).parent.mkdir(parents=True, exist_ok=True)
        if not system.capture_directory.exists():
            system.capture_directory.mkdir(mode=0o700, parents=True)  # what is captured carries credentials
        snapshot = _rendered(config, system, phases, shelf)
        validate(snapshot, system, stays=_revision(shelf.taken()))
        shelf.keep(snapshot)
        shelf.put(snapshot.files, snapshot.files)
        shelf.take(snapshot)
        _bootstrap_file(system).write_text(json.dumps(bootstrap(system), indent=1) + "\n")


def command(config: Config, system: System) -> list[str]:
    """The arguments that start Envoy on what was prepared."""
    return [
        *(binary(), "--config-path", str(_bootstrap_file(system))),
        *("--concurrency", str(_WORKERS)),
        *("--log-level", "warning"),
        *("--drain-time-s", "5"),
        *("--file-flush-interval-msec", "1000"),  # of the access log
        "--reject-unknown-dynamic-fields",  # or a misspelt key becomes an empty route table
        "--disable-hot-restart",
    ]


def rehearse(config: Config, system: System, phases: Mapping[str, Phase]) -> None:
    """Validate the snapshot of these phases, so that `publish` needn't; nothing else changes.

    Raises SnapshotRefused.
    """
    shelf = Shelf(system)
    with shelf.locked():
        _approve(_rendered(config, system, phases, shelf), system, shelf)


def publish(config: Config, system: System, phases: Mapping[str, Phase]) -> Snapshot:
    """Route by these phases, from now on; returns once Envoy has taken it. The same phases again are a no-op.

    Raises SnapshotRefused with the former snapshot back in place, and GatewayUnreachable with nothing
    changed.
    """
    shelf = Shelf(system)
    with shelf.locked(), Admin(system.gateway_admin) as admin:
        taken, snapshot = shelf.taken(), _rendered(config, system, phases, shelf)
        differing = shelf.differing(snapshot)
        before = admin.state()
        if taken and not differing and taken.revision == snapshot.revision:
            return taken
        _approve(snapshot, system, shelf)
        shelf.keep(snapshot)
        log = _Log(system)
        try:
            _put_in_order(shelf, admin, snapshot, differing, before)
        except (_Refused, GatewayUnreachable) as refusal:
            words = log.complaint() or str(refusal)
            shelf.refuse(snapshot, words)
            if taken:
                _put_back(shelf, admin, taken)
            if isinstance(refusal, GatewayUnreachable):
                raise
            raise SnapshotRefused(snapshot.revision, words, _revision(taken)) from None
        shelf.take(snapshot)
        return snapshot


def revision_of(config: Config, system: System, phases: Mapping[str, Phase]) -> str:
    """The revision that these phases come to: the taken one if it says the same, else the next one."""
    return _rendered(config, system, phases, Shelf(system)).revision


def describe(system: System) -> Description:
    """How the gateway stands; never raises because it is down."""
    shelf = Shelf(system)
    try:
        with Admin(system.gateway_admin) as admin:
            ready, state = admin.ready(), admin.state()
    except GatewayUnreachable as error:
        return Description(None, 0, False, str(error))
    taken, rejected = shelf.taken(), sum(state.rejected.values())
    live = shelf.versions()
    if taken is None or not state.has_taken(live):
        behind = sorted(name for name, version in live.items() if state.versions.get(name) != version)
        return Description(
            None, rejected, ready, f"Envoy has not taken {', '.join(behind) or 'any snapshot'} yet."
        )
    return Description(taken.revision, rejected, ready)


class _Refused(Exception):
    """Envoy refused a file, or said nothing for too long."""


class _Log:
    """Envoy's log from now on: the only place where it says why it refused a file."""

    def __init__(self, system: System) -> None:
        self._file = system.state / "logs" / "gateway.log"
        self._start = self._file.stat().st_size if self._file.exists() else 0

    def complaint(self) -> str | None:
        """Why Envoy refused a file since this was made; None where the log doesn't say."""
        if not self._file.exists():
            return None
        with self._file.open("rb") as file:
            file.seek(self._start)
            said = re.findall(r"update rejected: (.+)", file.read().decode(errors="replace"))
        return said[-1] if said else None


def _approve(snapshot: Snapshot, system: System, shelf: Shelf) -> None:
    """Validate a snapshot, unless the last one that was validated says the same."""
    if shelf.approved() != snapshot.digest:
        validate(snapshot, system, stays=_revision(shelf.taken()))
        shelf.approve(snapshot)


def _rendered(config: Config, system: System, phases: Mapping[str, Phase], shelf: Shelf) -> Snapshot:
    """The snapshot for these phases, under the taken revision's number if that one says the same."""
    taken = shelf.taken()
    snapshot = render(config, system, phases, number=shelf.next_number(), former=taken)
    if taken and taken.digest == snapshot.digest:
        return taken
    return snapshot


def _put_in_order(
    shelf: Shelf, admin: Admin, snapshot: Snapshot, differing: Mapping[str, bytes], before: State
) -> None:
    """Homes first, then the listener, then the routes: no route may name what isn't there yet."""
    homes = [name for name in differing if name == CDS or name.startswith("eds/")]
    for names in (homes, [LDS] if LDS in differing else [], [RDS] if RDS in differing else []):
        if names:
            shelf.put(differing, sorted(names, reverse=True))  # addresses before the clusters that read them
            _await(admin, dict.fromkeys(names, snapshot.revision), before)


def _put_back(shelf: Shelf, admin: Admin, taken: Snapshot) -> None:
    """Put the taken snapshot back, routes first, and wait until Envoy has it again."""
    differing = shelf.differing(taken)
    names = sorted(differing, key=lambda name: (name != RDS, name != LDS, name != CDS))
    shelf.put(differing, names)
    try:
        _await(admin, dict.fromkeys(names, taken.revision), admin.state())
    except (_Refused, GatewayUnreachable):
        return  # The files are back, and Envoy reads them when it can; the refusal is the thing to tell.


def _await(admin: Admin, wanted: Mapping[str, str], before: State) -> None:
    """Return once Envoy has taken every file of `wanted` at its version; _Refused if it won't."""
    deadline = time.monotonic() + ACKNOWLEDGED_SECONDS
    while not (state := admin.state()).has_taken(wanted):
        if refused := [name for name in state.refused_since(before) if name in wanted]:
            raise _Refused(f"it didn't take {', '.join(refused)}")
        if time.monotonic() > deadline:
            late = ", ".join(name for name, version in wanted.items() if state.versions.get(name) != version)
            raise _Refused(f"{late or 'a cluster'} wasn't in use after {ACKNOWLEDGED_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


def _revision(snapshot: Snapshot | None) -> str | None:
    return snapshot.revision if snapshot else None


def _bootstrap_file(system: System) -> Path:
    return system.gateway_directory / "bootstrap.json"
