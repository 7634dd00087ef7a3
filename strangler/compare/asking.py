"""Asks one home one request, as the captured caller, and times it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import aiohttp
from yarl import URL

from strangler.compare.capture import Undecodable, decode
from strangler.compare.errors import CouldNotAsk
from strangler.compare.observation import Answer, Request

TIMEOUT_SECONDS = 10.0
COMPARATOR_HEADER = "x-strangler-comparator"  # so that a home's access log tells these requests apart


class Asker:
    """Both homes' addresses and one pool of connections."""

    def __init__(self, session: aiohttp.ClientSession, homes: Mapping[str, str]) -> None:
        self._session, self._homes = session, homes

    async def ask(self, home: str, request: Request, token: str) -> Answer:
        """The home's answer, its time from the first byte sent to the last one read. CouldNotAsk if none."""
        headers = {"Accept-Encoding": "identity", COMPARATOR_HEADER: "1"}
        for name, value in (
            ("Host", request.host),
            ("Accept", request.accept),
            ("Accept-Language", request.accept_language),
            ("Authorization", f"Bearer {token}" if token else ""),
        ):
            if value:
                headers[name] = value
        # The target goes out byte for byte as the client wrote it.
        url = URL(self._homes[home] + request.target, encoded=True)
        start = time.perf_counter()
        try:
            async with self._session.request(
                request.method, url, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.read()
                milliseconds = (time.perf_counter() - start) * 1000
                body = decode(body, answer.headers.get("Content-Encoding", ""))
                kind = answer.headers.get("Content-Type", "")
                return Answer(home, answer.status, kind, body, milliseconds)
        except (aiohttp.ClientError, TimeoutError, OSError, Undecodable) as error:
            raise CouldNotAsk(
                home, f"{request.method} {self._homes[home]}: {error or type(error).__name__}"
            ) from None


def session(concurrency: int) -> aiohttp.ClientSession:
    """A pool of connections that keeps nothing of one caller for the next."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=2 * concurrency + 4),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept"),
    )
