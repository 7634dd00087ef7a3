"""Peers that others wrote, each in an environment of its own, from a lock with hashes beside this file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

LOCKS = Path(__file__).parent
ENVIRONMENTS = Path(__file__).parents[3] / ".strangler" / "peers"


def installed(name: str) -> Path | None:
    """The `bin` of a peer's environment, made from NAME.lock at the first call; None if it can't be."""
    lock = LOCKS / f"{name}.lock"
    directory = ENVIRONMENTS / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:8]}"
    if not (directory / "installed").exists():
        try:
            venv.create(directory, with_pip=True, clear=True)
            pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
            subprocess.run([*pip, "--requirement", str(lock)], check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as reason:
            print(f"{name} can't be installed: {reason}", file=sys.stderr)
            return None
        (directory / "installed").touch()
    return directory / "bin"
