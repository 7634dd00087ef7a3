"""A program as the supervisor starts it: everything filled in, and how to ask whether it is healthy."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

ANSWER_WITHIN = 2.0  # seconds
STEADY = 2.0  # seconds that a program without a port must run to count as healthy; imports take their time

Health = Callable[[], Awaitable[str]]  # says what is wrong; nothing when healthy


@dataclass(frozen=True)
class Program:
    """What to run, after what, and how to ask it.

    `before` runs in this process ahead of the first start (a rendered configuration), then each command of
    `prepare`; a restart repeats neither. `health` None: healthy once it has run for two seconds.
    `patience` is how many seconds the first start may take to become healthy.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    needs: frozenset[str] = frozenset()
    before: Callable[[], object] | None = None
    prepare: tuple[tuple[str, ...], ...] = ()
    health: Health | None = None
    port: int | None = None
    url: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 60.0


def http_health(port: int, path: str) -> Health:
    """Healthy: answers `GET path` on the loopback interface with a status of 2xx."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()

    async def ask() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            status = await reader.readline()
        finally:
            writer.close()
        code = status.decode("latin-1").split(" ")[1:2]
        if code and code[0].startswith("2"):
            return ""
        return f"GET {path} answered {code[0]}" if code else f"GET {path} answered no HTTP"

    return ask


def tcp_health(port: int) -> Health:
    """Healthy: takes connections."""

    async def ask() -> str:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return ""

    return ask


async def ailment(health: Health) -> str:
    """Ask once what is wrong; a refusal, a broken answer and no answer in time are wrong too."""
    try:
        return await asyncio.wait_for(health(), ANSWER_WITHIN)
    except TimeoutError:
        return f"no answer in {ANSWER_WITHIN:.0f} s"
    except OSError:
        return "takes no connections"
