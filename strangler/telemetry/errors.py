"""What looking at telemetry refuses.

StranglerError
  TraceUnknown   nothing is kept under this id
"""

from __future__ import annotations

from strangler.errors import StranglerError


class TraceUnknown(StranglerError):
    """Nothing is kept under this id."""
