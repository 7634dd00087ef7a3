"""A secret that a machine makes for itself on first use, and keeps in a file that its owner alone reads."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """What the file holds; where there is none, what `make` returns, kept for everybody from now on.

    Several processes may come first at once: one of them wins, and all return what the winner made.
    Raises OSError when the file can't be read or written.
    """
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(make())
    try:
        # A link never replaces a file: whoever comes second finds the first one's secret, whole.
        os.link(draft, path)
    except FileExistsError:
        pass  # Another process was first; its secret counts.
    finally:
        draft.unlink()
    return path.read_text()
