"""A home in one file: answers a rug's page as it is told, brings states about, and says its version.

python small_home.py PORT VERSION ANSWER [FAILING_STATE]
"""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, version, answer = int(sys.argv[1]), sys.argv[2], sys.argv[3]
failing = sys.argv[4] if len(sys.argv) > 4 else ""


class Home(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health/ready":
            return self._say({"status": "ready"} | ({"version": version} if version else {}))
        if self.path == "/rugs/7/" and self.headers["authorization"] != "Bearer real":
            return self._say({"detail": "Who are you?"}, 401)
        if self.path in ("/rugs/7/", "/rugs/?colour=red"):
            return self._say(json.loads(answer))
        return self._say({"detail": "There is no such rug."}, 404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/messages":
            metadata = base64.b64encode(b'{"type": "rugs.rug_sold.v1"}').decode()
            return self._say(json.loads(answer), 200, ("pact-message-metadata", metadata))
        if failing and asked["state"] == failing:
            return self._say({"detail": "the loom is broken"}, 422)
        return self._say({"authorization": "Bearer real"})

    def _say(self, value: object, status: int = 200, *headers: tuple[str, str]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, one in (("content-type", "application/json"), ("content-length", str(len(body))), *headers):
            self.send_header(name, one)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", port), Home).serve_forever()
