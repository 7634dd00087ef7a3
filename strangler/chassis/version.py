"""Which version of a home runs: told with its health, since what is found out about one holds for no other.

A release may have a name (RELEASE, in a home's settings). Without one, a version is the content of what is
deployed, so that a process that only started anew is the same version still.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHASSIS = Path(__file__).parent
_DIGITS = 12


def version_of(*deployed: Path) -> str:
    """A hash of every file below the directories `deployed`, and of the chassis. Ask once, at the start."""
    digest = hashlib.sha256()
    for directory in (*deployed, _CHASSIS):
        for path in sorted(directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(directory).as_posix().encode()
                content = path.read_bytes()
                # Lengths, so that no two trees come to the same bytes.
                digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()[:_DIGITS]
