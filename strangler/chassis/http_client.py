"""How one home asks another over HTTP: with time limits, few retries, and no proxy of the environment.

Only safe requests are asked again: of any other nobody knows whether it has been done. `get_json` and
`send_json` hand on what the request in hand has written, so that its user reads it back (chassis.freshness).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from strangler.chassis import freshness
from strangler.chassis.fence import footprint
from strangler.chassis.writing import SAFE_METHODS

WORTH_ANOTHER_TRY = (502, 503, 504)
CONNECT_WITHIN = 1.0  # seconds
ANSWER_WITHIN = 3.0  # seconds
WRITTEN_WITHIN = 15.0  # seconds
ATTEMPTS = 3
PAUSE = 0.05  # seconds before the second attempt; twice as long before each later one


class Retries(httpx.BaseTransport):
    """Asks again where no answer came, or one that says so: at most `attempts` times in all."""

    def __init__(self, inner: httpx.BaseTransport, attempts: int = ATTEMPTS) -> None:
        self._inner, self._attempts = inner, attempts

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method not in SAFE_METHODS:
            footprint.reached_out(f"{request.method} {request.url} was sent")
            return self._inner.handle_request(request)
        with footprint.only_asking():
            return self._ask(request)

    def _ask(self, request: httpx.Request) -> httpx.Response:
        attempts = self._attempts
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            try:
                answer = self._inner.handle_request(request)
                if last or answer.status_code not in WORTH_ANOTHER_TRY:
                    return answer
                answer.close()
            except httpx.TransportError:
                if last:
                    raise
            time.sleep(PAUSE * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def close(self) -> None:
        self._inner.close()


class NoAnswer(Exception):
    """Nothing came that can be used: no connection, an error, something that isn't JSON."""


class Refused(Exception):
    """A write was refused, and nothing was done. `status` and `problem` are the answer's."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        said = " ".join(str(one["detail"]) for one in problem.get("errors", ()))
        super().__init__(said or problem.get("detail") or f"The answer was {status}.")
        self.status, self.problem = status, problem


def get_json(
    base_url: str,
    path: str,
    *,
    token: str = "",
    params: Mapping[str, str] | None = None,
    missing: bool = False,
) -> Any:
    """What is answered to a GET, parsed; with `missing`, None for a 404. Raises NoAnswer."""
    try:
        answer = client(base_url).get(path, params=params, headers=_headers(token))
        if missing and answer.status_code == 404:
            return None
        return answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise NoAnswer(f"{base_url}{path}: {error}") from error


def send_json(base_url: str, method: str, path: str, body: Any = None, *, token: str) -> Any:
    """What is answered to a write, parsed; None where there is nothing to say. It is sent once.

    Raises Refused, or NoAnswer: then nobody knows whether it was done. The time limit is longer than rows
    take to move, since the gateway holds a write for so long.
    """
    try:
        answer = client(base_url).request(
            method, path, json=body, headers=_headers(token), timeout=WRITTEN_WITHIN
        )
        freshness.note_written(answer.headers.get(freshness.HEADER))
        said = answer.json() if answer.content else None
    except (httpx.HTTPError, ValueError) as error:
        raise NoAnswer(f"{method} {base_url}{path}: {error}") from error
    if answer.is_success:
        return said
    if answer.is_client_error and isinstance(said, dict):
        raise Refused(answer.status_code, said)
    raise NoAnswer(f"{method} {base_url}{path}: {answer.status_code}")


def _headers(token: str) -> dict[str, str]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return headers | ({freshness.HEADER: signed} if (signed := freshness.carried()) else {})


@cache
def client(base_url: str) -> httpx.Client:
    """The client of this process for everything at `base_url`; threads may share it.

    It keeps no cookies: what is answered to one user is for no other.
    """
    return httpx.Client(
        base_url=base_url,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=httpx.Timeout(ANSWER_WITHIN, connect=CONNECT_WITHIN),
        transport=Retries(httpx.HTTPTransport()),
        headers={"accept": "application/json"},
        trust_env=False,
    )
