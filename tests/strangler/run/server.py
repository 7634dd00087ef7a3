"""A small process for the supervisor to keep: `server.py PORT [CHILDREN]` answers GET /ready.

It starts that many children of its own, which ignore SIGTERM, and notes its start and stop in ORDER_FILE.
"""

import http.server
import os
import signal
import subprocess
import sys
from pathlib import Path

port, children = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
name = os.environ["NAME"]
order = Path(os.environ["ORDER_FILE"])
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"


def note(what: str) -> None:
    with order.open("a") as file:
        file.write(f"{what} {name}\n")


def stop(number: int, frame: object) -> None:
    note("stop")
    sys.exit(0)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()


signal.signal(signal.SIGTERM, stop)
for _ in range(children):
    subprocess.Popen([sys.executable, "-c", stubborn])
note("start")
with http.server.HTTPServer(("127.0.0.1", port), Answer) as listening:
    print(f"{name} listens on {port}", flush=True)
    listening.serve_forever()
