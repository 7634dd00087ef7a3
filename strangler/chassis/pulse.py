"""Whether a process that serves no HTTP still works: its loop beats, and a thread answers for it.

`/health/live` answers 200 while the last beat is young, and 503 with the reason when the loop is stuck. A
process that waits for its broker or database beats: starting it anew would help nobody.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STUCK_AFTER = 60.0  # seconds without a beat; a handler that takes longer is too long for a queue's order
_last = time.monotonic()


def beat() -> None:
    """Say that the loop has come round."""
    global _last
    _last = time.monotonic()


def state() -> tuple[int, dict[str, str]]:
    """What is answered: an HTTP status, and why."""
    since = time.monotonic() - _last
    if since < STUCK_AFTER:
        return 200, {"status": "live"}
    return 503, {"status": "stuck", "detail": f"Its loop has come round {since:.0f} s ago."}


def serve(port: int) -> None:
    """Answer on this machine's own interface, from a thread that ends with the process."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Answer)
    threading.Thread(target=server.serve_forever, name="pulse", daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, why = state()
        body = json.dumps(why).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A probe every few seconds is no news."""
