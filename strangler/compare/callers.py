"""As whom the comparator asks: the captured caller's own token, or a fresh one for a recorded subject.

A token is only passed on; it is read for its labels (kind and subject) and never stored or logged.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from strangler.compare.errors import CouldNotAsk, CouldNotCompare
from strangler.compare.observation import ANONYMOUS, Caller

CACHED_SECONDS = 20.0
CACHED_SESSIONS = 10_000


def caller_of(token: str, kind_claim: str) -> Caller:
    """Who a token says it is for. The homes verify it; here its claims are labels and no more."""
    if not token:
        return ANONYMOUS
    claims = _claims(token)
    return Caller(str(claims.get(kind_claim) or "unknown"), str(claims.get("sub") or ""))


def _claims(token: str) -> Mapping[str, Any]:
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


class Exchange:
    """Session cookies for tokens, asked of the monolith as the gateway does, kept for twenty seconds."""

    def __init__(self, session: aiohttp.ClientSession, url: str, home: str, cookie: str) -> None:
        self._session, self._url, self._home, self._cookie = session, url, home, cookie
        self._tokens: dict[str, tuple[float, asyncio.Task[str]]] = {}

    async def token(self, value: str) -> str:
        """The token for a session, empty if nobody is logged in to it. Raises CouldNotAsk."""
        now = time.monotonic()
        until, asked = self._tokens.get(value, (0.0, None))
        if asked is None or until < now or (asked.done() and asked.exception()):
            if len(self._tokens) >= CACHED_SESSIONS:
                self._tokens = {key: kept for key, kept in self._tokens.items() if kept[0] >= now}
            asked = asyncio.create_task(self._ask(value))
            self._tokens[value] = (now + CACHED_SECONDS, asked)
        return await asyncio.shield(asked)

    async def _ask(self, value: str) -> str:
        headers = {"Cookie": f"{self._cookie}={value}"}
        try:
            async with self._session.get(self._url, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                if answer.status in (200, 204):
                    kind, _, token = answer.headers.get("Authorization", "").partition(" ")
                    return token if kind == "Bearer" else ""
                if answer.status in (401, 403):
                    return ""
                raise CouldNotAsk(self._home, f"{self._url} answered {answer.status} for a session")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CouldNotAsk(self._home, f"{self._url}: {error or type(error).__name__}") from None


async def issue(
    command: Sequence[str], subjects: Sequence[str], cwd: str, env: Mapping[str, str]
) -> dict[str, str]:
    """A token for each subject, from the command that `compare.tokens` names.

    The command reads subjects on stdin, one a line, and prints one token a line, or an empty line where it
    has none. CouldNotCompare if it fails or prints another number of lines; its stderr is quoted.
    """
    if not subjects:
        return {}
    if not command:
        raise CouldNotCompare(
            "The recording holds requests of logged-in callers, and [compare] names no 'tokens' command to "
            "get tokens for them. Nothing was asked. Set compare.tokens in strangler.toml."
        )
    try:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=cwd, env=dict(env),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await asyncio.wait_for(process.communicate("\n".join([*subjects, ""]).encode()), 60)
    except (OSError, TimeoutError) as error:
        raise CouldNotCompare(
            f"Tokens for the recorded callers can't be had: {' '.join(command)}: "
            f"{error or 'it took over a minute'}. Nothing was asked."
        ) from None
    tokens = out.decode().splitlines()
    if process.returncode or len(tokens) != len(subjects):
        last = (errors.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise CouldNotCompare(
            f"Tokens for the recorded callers can't be had: {' '.join(command)} ended with "
            f"{process.returncode} and gave {len(tokens)} of {len(subjects)} tokens: {last}. "
            "Nothing was asked."
        )
    return dict(zip(subjects, tokens, strict=True))
