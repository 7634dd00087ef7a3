"""Headless Chromium, driven over its debugging protocol: opens pages, fills in forms, reads what came.

https://chromedevtools.github.io/devtools-protocol/ has the words that are sent here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0  # seconds for a page; a cold browser on a busy machine takes its time


def binary() -> str | None:
    """The path of a Chromium, if one is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)

    async def evaluate(self, script: str) -> Any:
        """What an expression in the page comes to, awaited if it is a promise."""
        said = await self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in said, f"{script}: {said['exceptionDetails']}"
        return said["result"].get("value")

    async def open(self, url: str) -> None:
        """Go to an address, and wait until it is there."""
        await self._leave(self._ask("Page.navigate", url=url))

    async def submit(self, form: str, **fields: str) -> None:
        """Fill in a form, as its labels' fields are named, press its button, and wait for the next page."""
        script = f"""(() => {{
            const form = document.querySelector({json.dumps(form)});
            if (!form) throw new Error("no such form on " + location.href + ": " + document.body.innerText);
            const fields = {json.dumps(fields)};
            for (const name in fields) form.elements[name].value = fields[name];
            form.querySelector("button").click();
        }})()"""
        await self._leave(self.evaluate(script))

    async def text(self) -> str:
        """What a person reads on the page."""
        return str(await self.evaluate("document.body.innerText"))

    async def address(self) -> str:
        return str(await self.evaluate("location.pathname"))

    async def _leave(self, going: Any) -> None:
        """Do what leads to another page, and wait until that one has loaded."""
        await self.evaluate("window.here = true")
        await going
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(_Gone):
                if await self.evaluate("!window.here && document.readyState === 'complete'"):
                    return
            assert time.monotonic() < deadline, "the next page doesn't come"
            await asyncio.sleep(0.05)

    async def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said = await self._socket.receive_json(timeout=PATIENCE)
            if said.get("id") == number:  # the rest is events
                if "error" in said:
                    raise _Gone(said["error"]["message"])  # a page that is being left can't be asked
                return said["result"]


class _Gone(Exception):
    """The page that was asked is being left."""


@asynccontextmanager
async def browser(path: str, profile: Path) -> AsyncIterator[Page]:
    """A browser with a profile of its own, as a tab; gone at the end, with all its processes."""
    command = [
        path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--no-proxy-server", "--remote-debugging-port=0",
        f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await _tab(session, child, profile), max_msg_size=0) as socket,
        ):
            yield Page(socket)
    finally:
        child.terminate()  # it ends its own processes
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


async def _tab(session: aiohttp.ClientSession, child: subprocess.Popen[bytes], profile: Path) -> str:
    """The address of the first tab's socket. The browser writes into its profile which port it took."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert child.poll() is None, f"the browser ended with {child.returncode}"
        with suppress(FileNotFoundError, IndexError, aiohttp.ClientError):
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                tabs = [one for one in await answer.json() if one["type"] == "page"]
                return str(tabs[0]["webSocketDebuggerUrl"])
        await asyncio.sleep(0.05)
    raise AssertionError("the browser doesn't come up")
