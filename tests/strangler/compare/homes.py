"""Two tiny real HTTP homes that sell rugs, one of them with a bug of one's choice.

Products 1..30 are public, 31..34 are drafts, which only staff may see. The control also exchanges a session
cookie (whose value is a user's name) for a token, as the monolith does.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BUGS = ("price", "field", "order", "status", "draft", "slow")

ROLES = {"buyer1": "buyer", "staff1": "seller_staff"}
PAGE = 10


def token_for(name: str) -> str:
    """A token with the claims of the real ones; these homes read it without a signature."""
    parts = ({"alg": "none"}, {"sub": name, "role": ROLES[name]})
    coded = (base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)
    return ".".join((*coded, "unsigned"))


@dataclass
class RugHome:
    """One home. `bug` seeds one of BUGS, or "late": each price is right from its second answer on, as after a
    write. `quirk` may be "clock", a field that is never twice the same. `pace` is the time for an answer, in
    seconds, `version` what it tells with its health. `prices` gives a rug's price in cents.
    """

    name: str
    bug: str = ""
    quirk: str = ""
    pace: float = 0.001
    version: str = "1a"
    prices: Callable[[int], int] = lambda number: 4990 + 37 * number
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # target, Host, Authorization
    exchanged: int = 0

    def __post_init__(self) -> None:
        self._ticks = itertools.count()
        self._seen: set[tuple[str, int]] = set()
        handler = type("Handler", (_Handler,), {"home": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str, host: str, role: str) -> tuple[int, dict[str, object]]:
        """Status and body for a request."""
        time.sleep(self.pace * (3 if self.bug == "slow" and target.startswith("/api/rugs/?") else 1))
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/api/rugs/":
            page = int(query.get("page", ["1"])[0])
            first = 1 + (page - 1) * PAGE
            rugs = [self.rug(number, target) for number in range(first, first + PAGE) if number <= 30]
            if self.bug == "order":
                rugs.reverse()
            body = {"count": 30, "next": f"http://{host}{path}?page={page + 1}", "results": rugs}
            return 200, self._with_clock(body)
        number = int(path.split("/")[3])
        hidden = number > 30 and role != "seller_staff" and self.bug != "draft"
        if hidden or number > 34:
            return (410 if self.bug == "status" else 404), {"type": "client_error", "detail": "Not found."}
        return 200, self._with_clock(self.rug(number, target))

    def rug(self, number: int, target: str) -> dict[str, object]:
        cents = self.prices(number)
        if self.bug == "late" and (target, number) not in self._seen:
            self._seen.add((target, number))
            cents -= 100
        if self.bug == "price":
            cents = round(cents, -1)
        rug = {"id": number, "sku": f"GARISH-RUG-{number}", "price": f"{cents / 100:.2f}", "stock": number}
        if self.bug == "field":
            del rug["stock"]
        return rug

    def _with_clock(self, body: dict[str, object]) -> dict[str, object]:
        return body | {"served": f"{self.name} {next(self._ticks)}"} if self.quirk == "clock" else body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment, else a delayed acknowledgement costs 40 ms
    disable_nagle_algorithm = True
    home: RugHome

    def do_GET(self) -> None:
        headers = {}
        if self.path == "/token/":
            self.home.exchanged += 1
            name = self.headers.get("Cookie", "").partition("sessionid=")[2]
            status, body = (200, {}) if name in ROLES else (401, {})
            headers = {"Authorization": f"Bearer {token_for(name)}"} if name in ROLES else {}
        elif self.path == "/health/ready":
            status, body = 200, {"status": "ready", "version": self.home.version}
        else:
            authorization = self.headers.get("Authorization", "")
            self.home.asked.append((self.path, self.headers["Host"], authorization))
            claims = authorization.partition(" ")[2].split(".")[1:2]
            role = json.loads(base64.urlsafe_b64decode(claims[0] + "=="))["role"] if claims else ""
            status, body = self.home.answer(self.path, self.headers["Host"], role)
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass
