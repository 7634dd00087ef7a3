"""What movement refuses, and what can stop rows half way.

StranglerError
└── MovementError        1  something about rows in motion
    ├── CopyRefused      1  it would not be right to begin: nothing was written
    ├── CopyFailed       1  a database is away, or copied rows break a key: what was committed stays
    ├── CaptureRefused   1  the owner's tables can't be captured as they are: nothing was changed
    ├── FollowHeld       1  the next window must not be applied: it stays at the owner, and is tried again
    ├── FollowFailed     1  a database stopped the stream: the next run goes on after the last window
    ├── SwitchRefused    1  ownership can't move as things are: nothing was changed
    ├── SwitchHeld       1  something is in the way just now: nothing was changed by this step
    ├── DropUnfinished   1  old tables are dropped, or may be: done again, it takes away what is left
    └── SwitchLost       1  this epoch was decided otherwise: whoever goes on reads who owns first
"""

from __future__ import annotations

from strangler.errors import StranglerError, Unfinished


class MovementError(StranglerError):
    """Root of what movement raises on purpose."""


class CopyRefused(MovementError):
    """The two sides can't be copied as they are; neither was touched."""


class CopyFailed(MovementError):
    """A database can't be reached, or refuses copied rows; chunks that were committed stay."""


class CaptureRefused(MovementError):
    """A table can't be captured, or a name of ours is taken; nothing was changed."""


class FollowHeld(MovementError):
    """The two sides no longer fit together; changes gather at the owner until they do."""


class FollowFailed(MovementError):
    """A database stopped the stream; what was committed stays, and the next run goes on from there."""


class SwitchRefused(MovementError):
    """Ownership can't move as things are; nothing was changed."""


class SwitchHeld(MovementError):
    """A lock, a transaction or a stream that is behind is in the way; this step changed nothing."""


class DropUnfinished(MovementError, Unfinished):
    """A database went away while old tables were dropped, or before all of ours was taken away."""


class SwitchLost(MovementError):
    """The epoch was burnt or has passed: somebody else has undone, finished or begun a switch."""
