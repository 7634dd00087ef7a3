"""The snapshots on disk: those kept, the one that was taken last, and the files that Envoy watches.

<gateway directory>/live/rds/rds.json         what Envoy watches; every file is replaced in one move
<gateway directory>/snapshots/<revision>/     the last ones, as rendered
<gateway directory>/taken                     the revision that Envoy took last
<gateway directory>/approved                  the digest of what was validated last
<gateway directory>/lock                      held by whoever publishes
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from strangler.envoy.snapshot import Snapshot, live_directory
from strangler.run.system import System

KEPT = 20


class Shelf:
    """The gateway's directory. Only the holder of the lock changes anything in it."""

    def __init__(self, system: System) -> None:
        self.directory = system.gateway_directory
        self.live = live_directory(system)
        self._snapshots = self.directory / "snapshots"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else publishes; the lock ends with the process that holds it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def next_number(self) -> int:
        return max((int(one.name.partition("-")[0]) for one in self._kept()), default=0) + 1

    def taken(self) -> Snapshot | None:
        """The snapshot that Envoy took last, or None before the first."""
        try:
            revision = (self.directory / "taken").read_text().strip()
        except FileNotFoundError:
            return None
        folder = self._snapshots / revision
        files = {
            str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.glob("*ds/**/*.json"))
        }
        return Snapshot(revision, files) if files else None

    def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot beside the others, and throw the eldest away."""
        for name, content in snapshot.files.items():
            _write(self._snapshots / snapshot.revision / name, content)
        taken = self.taken()
        for folder in self._kept()[:-KEPT]:
            if taken is None or folder.name != taken.revision:
                shutil.rmtree(folder)

    def refuse(self, snapshot: Snapshot, words: str) -> None:
        """Leave Envoy's words beside what it refused."""
        _write(self._snapshots / snapshot.revision / "refused.txt", words.encode() + b"\n")

    def take(self, snapshot: Snapshot) -> None:
        """Record that Envoy has taken it."""
        _write(self.directory / "taken", snapshot.revision.encode() + b"\n")

    def approve(self, snapshot: Snapshot) -> None:
        """Record that it was validated, and found good."""
        _write(self.directory / "approved", snapshot.digest.encode() + b"\n")

    def approved(self) -> str | None:
        """The digest of the snapshot that was validated last."""
        file = self.directory / "approved"
        return file.read_text().strip() if file.exists() else None

    def versions(self) -> dict[str, str]:
        """The revision that each live file carries."""
        files = sorted(self.live.glob("*ds/**/*.json"))
        return {
            str(one.relative_to(self.live)): json.loads(one.read_bytes())["version_info"] for one in files
        }

    def differing(self, snapshot: Snapshot) -> dict[str, bytes]:
        """The files of a snapshot that say something else than the live ones, whatever their versions."""
        return {
            name: content for name, content in snapshot.files.items() if not self._live_says(name, content)
        }

    def put(self, files: Mapping[str, bytes], names: Iterable[str]) -> None:
        """Put the named files in place, each in one move."""
        for name in names:
            _write(self.live / name, files[name])

    def _live_says(self, name: str, content: bytes) -> bool:
        try:
            present = json.loads((self.live / name).read_bytes())
        except FileNotFoundError:
            return False
        return bool(present["resources"] == json.loads(content)["resources"])

    def _kept(self) -> list[Path]:
        folders = self._snapshots.iterdir() if self._snapshots.is_dir() else []
        return sorted(folders, key=lambda one: int(one.name.partition("-")[0]))


def _write(target: Path, content: bytes) -> None:
    """Replace a file in one move: a reader sees the one or the other, never half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Envoy reads its whole directory again on every move into it, so the draft lies a level above.
    draft = target.parent.parent / f".{target.parent.name}-{target.name}.draft"
    draft.write_bytes(content)  # not synced: after a power failure, Envoy's start renders everything anew
    draft.replace(target)
