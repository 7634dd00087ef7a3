"""Serves a home for verification: a real server process, on a database of its own that goes with it.

Nothing of a running system is touched: the databases lie in a throwaway server, or, where
CONTRACTS_DATABASE_URL names one, beside the database that it names.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from strangler.config import Config
from strangler.contracts.declared import ServedHome
from strangler.contracts.errors import CouldNotVerify
from strangler.run import placeholders
from strangler.run.ports import free_ports
from strangler.run.postgres import embedded_postgres, last_lines
from strangler.run.supervisor import ends_with_parent
from strangler.run.system import STATE_DIRECTORY, System

SERVER = "CONTRACTS_DATABASE_URL"
READY_WITHIN = 60.0  # seconds
STOP_WITHIN = 8.0  # seconds
ANSWER_WITHIN = 10.0  # seconds


@dataclass(frozen=True)
class Served:
    """A home that is served: where, and in which version, as it says itself ("" if it says none)."""

    home: str
    url: str
    version: str
    states: str
    messages: str | None

    def bring_about(self, state: str, params: Mapping[str, Any], action: str) -> dict[str, Any]:
        """Set a provider state up or tear it down, as Pact's verifier does; what the home says of it."""
        return post(self.url + self.states, {"state": state, "params": dict(params), "action": action})


@contextmanager
def serving(config: Config, names: Iterable[str]) -> Iterator[dict[str, Served]]:
    """Serve homes for the block. CouldNotVerify for one that isn't declared, or doesn't come up."""
    homes = [_declared(config, name) for name in names]
    with ExitStack() as until_the_end:
        directory = Path(until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="contracts-")))
        server = os.environ.get(SERVER, "")
        if not server and any(home.uses_database for home in homes):
            server = until_the_end.enter_context(embedded_postgres(directory / "postgres"))
        places = {}
        for home, port in zip(homes, free_ports(len(homes)), strict=True):
            database = ""
            if home.uses_database:
                database = until_the_end.enter_context(_database(server, home.name))
            places[home.name] = _Place(config, home, port, database, directory / f"{home.name}.log")
        with ThreadPoolExecutor(len(homes) or 1) as pool:
            list(pool.map(_Place.prepare, places.values()))
        # From this thread: the kernel ends each server with the thread that started it.
        for place in places.values():
            until_the_end.enter_context(place.running())
        yield {name: place.wait() for name, place in places.items()}


class _Place:
    """One home in its place: commands filled in, a database, a port, a log."""

    def __init__(self, config: Config, home: ServedHome, port: int, database: str, log: Path) -> None:
        self._home, self._log = home, log
        self.url = f"http://127.0.0.1:{port}"
        self._known = {**_known(config), "port": str(port), "database": database}
        self._environment = placeholders.own_environment(home.env, self._known)
        self._environment["TMPDIR"] = str(log.parent)  # what it leaves there goes with it
        self._root = config.root
        self._server: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        for command in self._home.prepare:
            with self._log.open("ab") as log:
                words = placeholders.fill_all(command, self._known)
                run = subprocess.run(words, cwd=self._root, env=self._environment, stdout=log, stderr=log)
            if run.returncode:
                raise self._failure(f"`{' '.join(command)}` ended with {run.returncode}")

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [*ends_with_parent(), *placeholders.fill_all(self._home.command, self._known)]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                command, cwd=self._root, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield
        finally:
            self._server.terminate()
            try:
                self._server.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(self._server.pid, signal.SIGKILL)  # its workers too
                self._server.wait()

    def wait(self) -> Served:
        """The home, once it is ready."""
        assert self._server
        deadline = time.monotonic() + READY_WITHIN
        while self._server.poll() is None and time.monotonic() < deadline:
            if (ready := ask_ready(self.url, self._home.health)) is not None:
                version = str(ready.get("version") or "")
                return Served(self._home.name, self.url, version, self._home.states, self._home.messages)
            time.sleep(0.05)
        ended = self._server.poll()
        raise self._failure("isn't ready in time" if ended is None else f"ended with {ended}")

    def _failure(self, what: str) -> CouldNotVerify:
        return CouldNotVerify(
            f"The home {self._home.name} couldn't be served for verification: {what}. Nothing was verified. "
            f"The end of its log:\n{last_lines(self._log)}"
        )


def ask_ready(url: str, path: str) -> dict[str, Any] | None:
    """What a home says of itself when it is ready; None while it isn't, or if it says no JSON."""
    try:
        with opener().open(url + path, timeout=2) as answer:
            said = json.loads(answer.read())
            return said if isinstance(said, dict) else {}
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, ValueError):
        return None


def post(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST JSON to a home that is served, and return what it answers. CouldNotVerify with its reason."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    try:
        with opener().open(request, timeout=ANSWER_WITHIN) as answer:
            said = json.loads(answer.read() or b"{}")
            return said if isinstance(said, dict) else {}
    except urllib.error.HTTPError as error:
        with error:
            reason = error.read(500).decode(errors="replace").strip()
        raise CouldNotVerify(f"{urlsplit(url).path} answered {error.code}: {reason}") from None
    except (OSError, ValueError) as error:
        raise CouldNotVerify(f"{urlsplit(url).path} gave no answer: {error}") from None


def opener() -> urllib.request.OpenerDirector:
    # A proxy of the environment has no business between us and a home.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _declared(config: Config, name: str) -> ServedHome:
    try:
        return config.contracts.homes[name]
    except KeyError:
        known = ", ".join(config.contracts.homes) or "none"
        raise CouldNotVerify(
            f"[contracts.homes] in strangler.toml says nothing of how to serve {name!r} for verification; "
            f"declared are: {known}. Nothing was verified."
        ) from None


def _known(config: Config) -> dict[str, str]:
    """What commands may use that belongs to no running system."""
    nowhere = System(str(config.root), 0, "", "", {}, {}, {})
    (config.root / STATE_DIRECTORY).mkdir(exist_ok=True)
    return placeholders.values(config, nowhere)


@contextmanager
def _database(server: str, home: str) -> Iterator[str]:
    """An empty database on the server, dropped at the end; its name says what it is for."""
    name = f"contracts_{home.replace('-', '_')}_{secrets.token_hex(4)}"
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise CouldNotVerify(
            f"No database could be made for the home {home}: {str(error).strip()}. Nothing was verified. "
            f"Unset {SERVER}, or give its role CREATEDB."
        ) from None
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
