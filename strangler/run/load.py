"""Load for the gateway: mixed reads and writes by several users, at a steady rate, every answer counted.

The loop is open: a request's moment comes whether or not the one before it was answered, and its latency
counts from that moment. A gateway that stalls is slow for everybody who had to wait, as for real clients.

A user writes one thing after the other, and a write may be followed at once by a read of the same path, which
has to show it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPMethod
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import aiohttp
import rich_click as click
from rich.console import Console
from rich.live import Live
from rich.text import Text
from yarl import URL

from strangler import config as project
from strangler.config import Config
from strangler.errors import StranglerError, UsageError
from strangler.run.answers import Failure, Window, as_table, as_values, percentile
from strangler.run.sending import Kind, Sent, kinds
from strangler.run.table import console

__all__ = ["LoadGenerator", "LoginFailed", "Window", "command", "percentile"]

HOME_HEADER = "x-strangler-home"
NOBODY = "unknown"  # the home of an answer that names none
LONGEST = 3600.0  # seconds
GET = HTTPMethod.GET.value
CSRF_COOKIE, CSRF_HEADER = "csrftoken", "X-CSRFToken"  # as Django names them


class LoginFailed(StranglerError):
    """A user can't log in, so the load would not be the one that was asked for."""


class LoadGenerator:
    """Sends mixed requests to `base_url`, `rate` a second, as `users` ("" is anonymous).

    Rate and users are those of strangler.toml unless given.
    At most `concurrency` requests are under way; beyond that the next ones wait, and their waiting counts.
    What couldn't be sent `timeout` seconds after the end is given up, and counts as failed.
    The same `seed` draws the same paths and users. Raises UsageError where there is nothing to send.
    """

    def __init__(
        self,
        config: Config,
        base_url: str,
        rate: float | None = None,
        users: Sequence[str] | None = None,
        *,
        seed: int = 0,
        concurrency: int = 64,
        timeout: float = 10.0,
    ) -> None:
        if not config.load.requests:
            raise UsageError("strangler.toml has no [[load.requests]], so there is nothing to send.")
        self.base_url = base_url.rstrip("/")
        self.rate = config.load.rate if rate is None else rate
        self.users = tuple(config.load.users if users is None else users)
        self.total = Window()
        self._window = Window()
        self._began = self._window_began = time.perf_counter()
        self._config = config
        self._source = random.Random(seed)  # nosec B311 # draws paths, guards nothing
        self._kinds = kinds(config, self.users)
        if not self._kinds:
            raise UsageError("Every request in strangler.toml is sent by users that aren't among these.")
        self._weights = [one.weight for one in self._kinds]
        self._writing = {user: asyncio.Lock() for user in self.users}
        self._slots = asyncio.Semaphore(concurrency)
        self._patience = timeout
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._stopped = False

    def stop(self) -> None:
        """Send nothing more; `run` ends when what is under way has been answered."""
        self._stopped = True

    def window(self) -> Window:
        """What was counted since the last call (since the start, the first time)."""
        taken, self._window = self._window, Window()
        now = time.perf_counter()
        taken.seconds, self._window_began = now - self._window_began, now
        return taken

    async def run(self, seconds: float) -> Window:
        """Log every user in once, then send for that long; all that was counted. Raises LoginFailed."""
        async with _Clients(self._config, self.base_url, self.users, self._timeout) as clients:
            await clients.log_in()
            self._began = self._window_began = time.perf_counter()
            async with asyncio.TaskGroup() as under_way:
                count = int(seconds * self.rate)
                for number in range(count):
                    due = self._began + number / self.rate
                    while (early := due - time.perf_counter()) > 0 and not self._stopped:
                        await asyncio.sleep(min(early, 0.25))
                    await self._slots.acquire()
                    if self._stopped:
                        break
                    if time.perf_counter() > self._began + seconds + self._patience:
                        self._give_up(count - number)
                        break
                    kind = self._source.choices(self._kinds, self._weights)[0]
                    user = self._source.choice(kind.users)
                    sent = kind.draw(self._source)
                    under_way.create_task(self._send(clients, user, kind, sent, due))
            self.total.seconds = time.perf_counter() - self._began
        return self.total

    def _give_up(self, count: int) -> None:
        """Count as failed what couldn't be sent: its time has long passed, and a load has an end."""
        for window in (self.total, self._window):
            window.failed += count
            window.kinds["not sent"] += count

    async def _send(self, clients: _Clients, user: str, kind: Kind, sent: Sent, due: float) -> None:
        try:
            if not kind.writes:
                await self._ask(clients, user, kind, sent, due)
                return
            async with self._writing[user]:
                answer = await self._ask(clients, user, kind, sent, max(due, time.perf_counter()))
                if kind.shows and answer is not None:
                    read = replace(kind, method=GET, route=f"{kind.route}, read back", writes=False)
                    value = _field(answer, kind.shows)
                    await self._ask(clients, user, read, Sent(sent.path), time.perf_counter(), value)
        finally:
            self._slots.release()

    async def _ask(
        self, clients: _Clients, user: str, kind: Kind, sent: Sent, due: float, shown: object = None
    ) -> bytes | None:
        """Count one request; its answer, where it came and was none of those from 300 on.

        `shown` is what the answer must show, if anything.
        """
        home, milliseconds, failure, body, status = NOBODY, None, None, b"", 0
        path = sent.path
        try:
            async with clients[user].request(
                kind.method,
                self.base_url + path,
                json=sent.json,
                data=sent.form,
                headers={"Accept": kind.accept} | (clients.proof(user) if kind.writes else {}),
                allow_redirects=False,
            ) as answer:
                home, status = answer.headers.get(HOME_HEADER, NOBODY), answer.status
                body = await answer.read()
                milliseconds = (time.perf_counter() - due) * 1000
                if what := self._what_failed(answer, user, kind) or _stale(body, kind, shown):
                    said = body[:200].decode("utf-8", "replace")
                    request_id = answer.headers.get("x-request-id")
                    failure = Failure(what, user, path, status, home, said, request_id)
        except TimeoutError:
            failure = Failure("timeout", user, path, 0, home, f"no answer in {self._patience:g} s", None)
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            failure = Failure("connection", user, path, 0, home, said, None)
        for window in (self.total, self._window):
            window.record(kind.route, home, milliseconds, failure)
            window.writes += kind.writes
            window.read_back += shown is not None
        return body if failure is None and 200 <= status < 300 else None

    def _what_failed(self, answer: aiohttp.ClientResponse, user: str, kind: Kind) -> str | None:
        """The kind of failure that an answer is, if it is one.

        404 is none: a number drawn at random may name nothing, or nothing that this user may see.
        """
        if answer.status >= 500:
            return "server error"
        if answer.status >= 400:
            return None if answer.status in (404, *kind.also) else "refused"
        if answer.status >= 300:
            to_login = self._config.load.login_path in answer.headers.get("Location", "")
            return "session lost" if user and to_login else None
        return None if kind.writes or answer.content_type == kind.accept else "content type"


def _field(body: bytes, name: str) -> object:
    """A field of a JSON object; "" where it can't be had, which no answer shows."""
    try:
        return json.loads(body).get(name, "")
    except (ValueError, AttributeError):
        return ""


def _stale(body: bytes, kind: Kind, shown: object) -> str | None:
    return None if shown is None or _field(body, kind.shows) == shown != "" else "stale read"


class _Clients:
    """One client per user, each with cookies of its own, over one pool; anonymous ones keep none."""

    def __init__(
        self, config: Config, base_url: str, users: Sequence[str], timeout: aiohttp.ClientTimeout
    ) -> None:
        self._config, self._base_url, self._users, self._timeout = config, base_url, users, timeout

    def __getitem__(self, user: str) -> aiohttp.ClientSession:
        return self._sessions[user]

    async def __aenter__(self) -> _Clients:
        self._connector = aiohttp.TCPConnector(limit=0)
        self._sessions = {
            user: aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                # Whoever hasn't logged in is somebody else each time. unsafe: takes a bare address's cookies.
                cookie_jar=aiohttp.CookieJar(unsafe=True) if user else aiohttp.DummyCookieJar(),
                timeout=self._timeout,
            )
            for user in dict.fromkeys(
                self._users
            )  # a name that is there twice is one person, seen more often
        }
        for session in self._sessions.values():
            # aiohttp asks a second time where a kept connection was closed under it; what the gateway drops
            # has to be seen here.
            session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._connector.close()

    def proof(self, user: str) -> dict[str, str]:
        """Headers that show Django that a write comes from its own pages: the cookie's token once more."""
        cookies = self[user].cookie_jar.filter_cookies(URL(self._base_url))
        token = cookies.get(CSRF_COOKIE)
        return {CSRF_HEADER: token.value, "Referer": self._base_url + "/"} if token else {}

    async def log_in(self) -> None:
        """Log in everybody who has a name, all at once; LoginFailed names who can't, and why."""
        await asyncio.gather(*(self._log_in(user, self[user]) for user in self._sessions if user))

    async def _log_in(self, user: str, client: aiohttp.ClientSession) -> None:
        load = self._config.load
        url = self._base_url + load.login_path
        form = {name: value.replace("{user}", user) for name, value in load.login_form.items()}
        try:
            async with client.get(url) as page:
                form |= _csrf_token(await page.text())
            async with client.post(url, data=form, headers={"Referer": url}, allow_redirects=False) as answer:
                status, said = answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LoginFailed(
                f"{user} can't log in at {url}: {error or type(error).__name__}. No load was sent."
            ) from None
        cookie = self._config.gateway.session_cookie
        if status >= 400 or cookie not in {one.key for one in client.cookie_jar}:
            raise LoginFailed(
                f"{user} can't log in at {url}: status {status}, and no cookie {cookie!r} ({_start(said)}). "
                "No load was sent; check [load.login] and the user's password."
            )


def _csrf_token(page: str) -> dict[str, str]:
    """Django's token out of a login form, as form fields; none where the page has none."""
    for tag in re.findall(r"<input\b[^>]*>", page):
        if re.search(r"""name=["']?csrfmiddlewaretoken\b""", tag) and (
            value := re.search(r"""value=["']?([^"'\s>]+)""", tag)
        ):
            return {"csrfmiddlewaretoken": value[1]}
    return {}


def _start(body: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())[:120] or "an empty answer"


# ── strangler load ───────────────────────────────────────────────────────────────────────────────


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Requests a second.  [default: strangler.toml]"
)
@click.option("--seconds", type=click.FloatRange(0, LONGEST, min_open=True), default=30.0, show_default=True)
@click.option("--users", help="Names, with commas between; `anonymous` is nobody.  [default: strangler.toml]")
@click.option("--url", help="Where to send.  [default: the running system's gateway]")
@click.option(
    "--allow-host", metavar="HOST", help="Allow a --url that isn't on this machine: its host, spelled out."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same paths.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def command(
    root: Path,
    rate: float | None,
    seconds: float,
    users: str | None,
    url: str | None,
    allow_host: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Send mixed reads and writes through the gateway, and count every answer.

    A write that must be seen at once is read back; one that isn't there yet is a stale read, and failed.
    Ctrl-C ends it with what was counted so far. Exits with 1 if a request failed.
    """
    config = project.load(root)
    names = None if users is None else [_name(one) for one in users.split(",")]

    def send(where: str) -> Window:
        generator = LoadGenerator(config, where, rate, names, seed=seed)
        return asyncio.run(_watched(generator, seconds, quiet=as_json))

    if url is not None:
        check_host(url, allow_host)
        counted = send(url)
    else:
        from strangler.run.session import running_system

        with running_system(config, quiet=as_json) as system:
            counted = send(system.gateway)
    if as_json:
        click.echo(json.dumps(as_values(counted), indent=2))
    else:
        # What is no table goes on one line, as long as it is: who searches a pipe finds it whole.
        console().print(as_table(counted), soft_wrap=True)
    if counted.failed or not counted.requests:
        sys.exit(1)


def check_host(url: str, allowed: str | None) -> None:
    """Raise UsageError unless `url` is on this machine, or its host is the one that was `allowed` by name."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{url!r} is no http:// or https:// URL. No load was sent.")
    if host in ("localhost", allowed):
        return
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise UsageError(
        f"{host} isn't this machine, and load may hurt whoever runs it. No load was sent. "
        f"If it is yours, say so: --allow-host {host}."
    )


def _name(word: str) -> str:
    return "" if word.strip() == "anonymous" else word.strip()


async def _watched(generator: LoadGenerator, seconds: float, *, quiet: bool) -> Window:
    """Run with a live line on stderr; Ctrl-C stops the sending, and what is under way is still counted."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, generator.stop)
    running = asyncio.create_task(generator.run(seconds))
    watched = Console(stderr=True, quiet=quiet)
    with Live(Text("logging in"), console=watched, transient=True, auto_refresh=False) as live:
        while not running.done():
            await asyncio.wait([running], timeout=0.5)
            live.update(_line(generator, seconds), refresh=True)
    return await running


def _line(generator: LoadGenerator, seconds: float) -> Text:
    window = generator.window()
    total = generator.total
    line = Text(f"{total.requests:,} of {seconds * generator.rate:,.0f} requests, ")
    line.append(f"{total.failed:,} failed", "bold red" if total.failed else "green")
    for home, latencies in sorted(window.homes.items()):
        line.append(f"   {home} {len(latencies) / max(window.seconds, 0.001):.0f}/s ", "cyan")
        line.append(f"p95 {percentile(latencies, 0.95):.0f} ms")
    return line
