"""Where the extra `telemetry` isn't installed, the chassis does everything else as well."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
for missing in ("opentelemetry", "prometheus_client"):
    sys.modules[missing] = None  # as if it weren't installed
from types import SimpleNamespace
from strangler.chassis import logs, metrics, trace

parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
event = SimpleNamespace(id="1", type="rugs.price_changed", traceparent=parent)
assert trace.current() is None
with trace.handling(event, "rugs.prices"):
    assert trace.current() == parent, "what a handler announces belongs to the trace of what it handles"
assert trace.current() is None
assert trace.publishing("rugs.price_changed.v1", {"ce-traceparent": parent, "ce-id": "1"}) is None
trace.published(None)
trace.note_recorded({"1": "rugs.price_changed"})
metrics.handled.labels("rugs.prices", "handled").inc()
metrics.event_seconds.labels("rugs.prices").observe(1)
print("works")
"""


def test_events_keep_their_trace_and_nothing_is_counted() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout == "works\n", done.stderr
