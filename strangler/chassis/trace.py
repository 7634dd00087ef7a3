"""Which trace the work in hand belongs to, so that what it announces does too (W3C Trace Context)."""

from __future__ import annotations

from contextvars import ContextVar

# The traceparent of the request or event that is being handled; whoever takes one in sets it.
current: ContextVar[str | None] = ContextVar("traceparent", default=None)
