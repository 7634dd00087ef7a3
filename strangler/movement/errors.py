"""What movement refuses, and what can stop a copy half way.

StranglerError
└── MovementError        1  something about rows in motion
    ├── CopyRefused      1  it would not be right to begin: nothing was written
    └── CopyFailed       1  it began and could not end: what was committed stays, the same command goes on
"""

from __future__ import annotations

from strangler.errors import StranglerError


class MovementError(StranglerError):
    """Root of what movement raises on purpose."""


class CopyRefused(MovementError):
    """The two sides can't be copied as they are; neither was touched."""


class CopyFailed(MovementError):
    """A database stopped the copy; chunks that were committed stay, and the next run goes on from them."""
