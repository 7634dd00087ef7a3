"""A Pact Broker as far as publishing goes: the HAL subset that `strangler contracts publish` speaks.

It checks what it is given as the real one does (names, links, versions) and keeps it; it is no proof that the
real one takes the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class PactBroker:
    """Serves for the block; `contracts`, `results` and `deployments` are what was published."""

    def __init__(self, *, token: str = "", environments: tuple[str, ...] = ()) -> None:
        self.token, self.environments = token, environments
        self.contracts: dict[tuple[str, str, str], dict[str, Any]] = {}  # consumer, version, provider
        self.results: list[tuple[str, str, dict[str, Any]]] = []  # provider, consumer, body
        self.deployments: list[tuple[str, str, str, str]] = []  # pacticipant, version, environment, instance
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> PactBroker:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        match method, [unquote(part) for part in path.strip("/").split("/")]:
            case "POST", ["contracts", "publish"]:
                for one in body["contracts"]:
                    if one["consumerName"] != body["pacticipantName"]:
                        return 400, {"errors": {"contracts": ["consumerName does not match"]}}
                    content = json.loads(base64.b64decode(one["content"]))
                    key = one["consumerName"], body["pacticipantVersionNumber"], one["providerName"]
                    self.contracts[key] = content
                return 200, {"notices": []}
            case "GET", ["pacts", "provider", provider, "consumer", consumer, "version", version]:
                content = self.contracts.get((consumer, version, provider))
                if content is None:
                    return 404, {"error": "no such pact"}
                sha = hashlib.sha1(json.dumps(content, sort_keys=True).encode()).hexdigest()
                href = f"{self.url}/pacts/provider/{provider}/consumer/{consumer}/pact-version/{sha}"
                link = {"href": f"{href}/verification-results"}
                return 200, content | {"_links": {"pb:publish-verification-results": link}}
            case "POST", ["pacts", "provider", provider, "consumer", consumer, "pact-version", _, _]:
                if not body.get("providerApplicationVersion"):
                    return 400, {"errors": {"providerApplicationVersion": ["can't be blank"]}}
                self.results.append((provider, consumer, body))
                return 201, {}
            case "GET", ["environments"]:
                found = [{"uuid": f"uuid-{name}", "name": name} for name in self.environments]
                return 200, {"_embedded": {"environments": found}}
            case "POST", [
                "pacticipants",
                name,
                "versions",
                version,
                "deployed-versions",
                "environment",
                uuid,
            ]:
                self.deployments.append((name, version, uuid, body["applicationInstance"]))
                return 201, {}
        return 404, {"error": f"{method} {path}"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        broker = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                status, said = 401, {"error": "Unauthorized"}
                if not broker.token or self.headers.get("authorization") == f"Bearer {broker.token}":
                    status, said = broker.answer(self.command, self.path, body)
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/hal+json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = _do

            def log_message(self, *_: object) -> None:
                pass

        return Handler
