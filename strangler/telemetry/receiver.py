"""Takes spans in by OTLP over HTTP, from the gateway and every process, and keeps the latest.

Run by the supervisor as `python -m strangler.telemetry.receiver`. Nobody waits for it: whoever sends does so
in batches, beside the work, and goes on when it is away. With OTEL_EXPORTER_OTLP_ENDPOINT in its environment
it passes on what it got, without what a span may not tell.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strangler import config as configuration
from strangler.chassis import logs
from strangler.telemetry.spans import Span, discreet, read
from strangler.telemetry.store import Store

LARGEST = 8 << 20  # bytes of one export
WAITING = 200  # exports that wait to be kept, and to be passed on; the rest is dropped, and counted
PROTOBUF = "application/x-protobuf"
T = TypeVar("T")
logger = logging.getLogger("strangler.telemetry")


class Receiver:
    """Keeps what comes in `store`, `keep` spans of it; passes it on to `onward`, a collector's base URL."""

    def __init__(
        self, store: Store, keep: int, onward: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self._store, self._keep = store, keep
        self._onward, self._headers = onward.rstrip("/"), dict(headers or {})
        self._arrived: asyncio.Queue[list[Span]] = asyncio.Queue(WAITING)
        self._to_pass: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self.dropped = 0

    def application(self) -> web.Application:
        """The HTTP side."""
        application = web.Application(client_max_size=LARGEST)
        application.router.add_post("/v1/traces", self._take)
        application.router.add_get("/health", self._answer_health)
        application.cleanup_ctx.append(self._working)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        if request.content_type != PROTOBUF:
            raise web.HTTPUnsupportedMediaType(text=f"Spans are taken as {PROTOBUF}.\n")
        try:
            export = discreet(ExportTraceServiceRequest.FromString(await request.read()))
        except DecodeError:
            raise web.HTTPBadRequest(text="That is no export of spans.\n") from None
        self._put(self._arrived, list(read(export)))
        if self._onward:
            self._put(self._to_pass, export.SerializeToString())
        return web.Response(body=b"", content_type=PROTOBUF)

    async def _answer_health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "dropped": self.dropped})

    def _put(self, queue: asyncio.Queue[T], item: T) -> None:
        try:
            queue.put_nowait(item)
        except asyncio.QueueFull:
            self.dropped += 1
            logger.warning("More arrives than can be taken care of; dropped so far: %d exports", self.dropped)

    async def _working(self, application: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            works = [asyncio.create_task(self._keep_all()), asyncio.create_task(self._pass_all(session))]
            yield
            await asyncio.wait([asyncio.create_task(self._arrived.join())], timeout=2)
            for work in works:
                work.cancel()

    async def _keep_all(self) -> None:
        while True:
            batch = await self._arrived.get()
            taken = 1
            while not self._arrived.empty():
                batch += self._arrived.get_nowait()
                taken += 1
            try:
                await asyncio.to_thread(self._store.add, batch, keep=self._keep)
            except Exception:
                logger.exception("%d spans could not be kept, and are lost", len(batch))
            for _ in range(taken):
                self._arrived.task_done()

    async def _pass_all(self, session: aiohttp.ClientSession) -> None:
        away = False
        while True:
            body = await self._to_pass.get()
            try:
                headers = {"Content-Type": PROTOBUF} | self._headers
                async with session.post(f"{self._onward}/v1/traces", data=body, headers=headers) as answer:
                    answer.raise_for_status()
                away = False
            except (aiohttp.ClientError, TimeoutError) as error:
                if not away:
                    logger.warning(
                        "The collector at %s takes nothing: %r. Spans are kept here.", self._onward, error
                    )
                away = True


def passing_on(environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The collector that spans are passed on to, and the headers that it wants; standard variables."""
    pairs = environment.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")
    named = (pair.partition("=") for pair in pairs if "=" in pair)
    headers = {name.strip(): unquote(value.strip()) for name, _, value in named}
    return environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""), headers


async def serve(root: Path, host: str, port: int) -> None:
    """Receive until SIGTERM or SIGINT."""
    config = configuration.load(root)
    store = Store(root, writes=True)
    onward, headers = passing_on(os.environ)
    receiver = Receiver(store, config.telemetry.keep, onward, headers)
    runner = web.AppRunner(receiver.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    logger.info("Keeping the latest %d spans that come to %s:%d.", config.telemetry.keep, host, port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
    store.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="whom it listens to")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--root", type=Path, default=Path("."), help="the directory that holds strangler.toml"
    )
    arguments = parser.parse_args()
    logs.to_stderr()
    asyncio.run(serve(arguments.root.resolve(), arguments.host, arguments.port))


if __name__ == "__main__":
    main()
