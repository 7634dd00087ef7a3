"""As many requests as fit: wrk where it is installed, else a client of our own in a process of its own.

python -m tests.benchmarks.requests URL CONNECTIONS SECONDS    prints answers, wrong ones, p50 and p99 in ms
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Flood:
    """`answers` in `seconds`, of which `wrong` weren't 2xx or never came; latencies in milliseconds."""

    answers: int
    wrong: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


def tool() -> str:
    """What sends the requests."""
    return "wrk" if shutil.which("wrk") else "a client in Python, which caps what a fast proxy can show"


def flood(url: str, *, connections: int, seconds: int) -> Flood:
    """Keep that many connections busy for that long, from another process."""
    if wrk := shutil.which("wrk"):
        run = subprocess.run(
            [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url],
            capture_output=True, text=True, check=True, timeout=seconds + 30,
        )  # fmt: skip
        return _from_wrk(run.stdout)
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.requests", url, str(connections), str(seconds)],
        capture_output=True, text=True, check=True, timeout=seconds + 30,
    )  # fmt: skip
    return Flood(**json.loads(run.stdout))


def _from_wrk(text: str) -> Flood:
    done = re.search(r"(\d+) requests in ([\d.]+)s", text)
    assert done is not None, text
    wrong = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    if errors := re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text):
        wrong += sum(int(n) for n in errors.groups())
    p50, p99 = (
        float(found[1]) * UNITS[found[2]]
        for share in (50, 99)
        if (found := re.search(rf"{share}%\s+([\d.]+)(us|ms|s)\b", text))
    )
    return Flood(int(done[1]), wrong, float(done[2]), p50, p99)


class _Connection(asyncio.Protocol):
    """One connection that asks again as soon as it is answered; bodies must have a length."""

    def __init__(self, request: bytes, latencies: list[float], wrong: list[bytes]) -> None:
        self.request, self.latencies, self.wrong = request, latencies, wrong
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not length or len(body) < int(length[1]):
            return
        self.latencies.append(time.perf_counter() - self.asked)
        if head[9:10] != b"2":
            self.wrong.append(head[:12])
        self.received = b""
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self.wrong.append(b"lost")


async def _flood(url: str, connections: int, seconds: float) -> Flood:
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n\r\n".encode()
    latencies: list[float] = []
    wrong: list[bytes] = []
    loop, start = asyncio.get_running_loop(), time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(
            lambda: _Connection(request, latencies, wrong), parts.hostname, parts.port
        )
    await asyncio.sleep(seconds)
    ordered, count = sorted(latencies), len(latencies)
    p50, p99 = (ordered[int(count * share)] * 1000 if ordered else 0.0 for share in (0.5, 0.99))
    return Flood(count, len(wrong), time.perf_counter() - start, p50, p99)


if __name__ == "__main__":
    url, connections, seconds = sys.argv[1:]
    print(json.dumps(vars(asyncio.run(_flood(url, int(connections), float(seconds))))))
