"""A copy of the project as a user has it: its files, its databases, its command line, and nothing of ours."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

HERE = Path(__file__).resolve().parents[2]
CAPABILITY = "catalog.read"
PATIENCE = 90.0  # seconds for anything that is awaited here; the machine may be busy with other things

# What the suites' own conftest names for Django in this process, and no user has in their shell.
NOT_A_USERS = (
    "DJANGO_SETTINGS_MODULE", "STATE_DIRECTORY", "IDENTITY_JWKS_URL", "IDENTITY_KEY_FILE", "BROKER_URL",
    "DATABASE_URL", "CATALOG_DATABASE_URL", "STRANGLER_DATABASE_URL", "STRANGLER_RUN", "MARKETPLACE_TESTS",
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The sentences on stderr in one line, as they would be read aloud."""
        return " ".join(self.err.split())

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Answer:
    """What the gateway or a home answered; `status` 0 where no answer came."""

    status: int
    home: str
    body: str


@dataclass(frozen=True)
class Project:
    """A copy of the project in a directory of its own; `environment` is all that its commands see."""

    root: Path
    environment: dict[str, str]

    # ── Its command line ─────────────────────────────────────────────────────────────────────────

    def strangler(self, *arguments: str, timeout: float = PATIENCE, **environment: str) -> Done:
        """A command, run to its end. Whatever it comes to, it may not show how it is made."""
        run = subprocess.run(
            self._command(*arguments), cwd=self.root, env={**self.environment, **environment},
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        _check_quiet(run.stdout + run.stderr)
        return Done(run.returncode, run.stdout, run.stderr)

    def does(self, *arguments: str, timeout: float = PATIENCE, **environment: str) -> Done:
        """A command that must end with 0."""
        done = self.strangler(*arguments, timeout=timeout, **environment)
        assert done.code == 0, f"{arguments} ended with {done.code}:\n{done.out}{done.err}"
        return done

    @contextmanager
    def load(self, *, seconds: float, rate: float = 40) -> Iterator[subprocess.Popen[str]]:
        """`strangler load` for as long as the block lasts, or until Ctrl-C ends it; see `counted`."""
        command = self._command("load", "--json", "--seconds", f"{seconds:g}", "--rate", f"{rate:g}")
        child = subprocess.Popen(
            command, cwd=self.root, env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            # It has read strangler.toml once it goes on to log its users in.
            until(lambda: _has_sockets(child), "the load to begin", pause=0.02)
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "strangler.cli", "--root", str(self.root), *arguments]

    # ── What runs of it ──────────────────────────────────────────────────────────────────────────

    @property
    def gateway(self) -> str:
        """The base URL that clients use."""
        return str(self._row("gateway")["url"])

    def row(self, name: str) -> dict[str, Any]:
        """A process as `strangler ps` shows it."""
        return next(row for row in self.does("ps", "--json").json["processes"] if row["name"] == name)

    def _row(self, name: str) -> dict[str, Any]:
        """The same from the board that `strangler ps` reads: quicker, for what is asked again and again."""
        board = json.loads((self.root / ".strangler" / "processes.json").read_text())
        return next(row for row in board["rows"] if row["name"] == name)

    def kill(self, name: str) -> None:
        """SIGKILL to every process of a row: the one that was started, and its workers."""
        os.killpg(self.row(name)["pid"], signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Kill a process, and wait until the supervisor has it up again and healthy."""
        before = self.row(name)["pid"]
        os.killpg(before, signal.SIGKILL)
        self.until_healthy(name, other_than=before)

    def until_healthy(self, name: str, *, other_than: int = 0) -> None:
        """Wait until a process is healthy, in another incarnation than the one of that pid."""

        def is_up() -> bool:
            row = self._row(name)
            return row["pid"] not in (None, other_than) and row["health"] == "healthy"

        until(is_up, f"{name} healthy again")

    def ask(self, path: str, *, url: str = "", **headers: str) -> Answer:
        """One GET through the gateway (or to `url`), as an anonymous client."""
        return ask((url or self.gateway) + path, **headers)

    # ── Its databases ────────────────────────────────────────────────────────────────────────────

    def database(self, home: str) -> str:
        """The URL of a home's database."""
        described = json.loads((self.root / ".strangler" / "system.json").read_text())
        return str(described["databases"][home])

    def on(self, home: str, *statements: str) -> list[tuple[Any, ...]]:
        """SQL on a home's database; the rows of the last statement."""
        with psycopg.connect(self.database(home), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    # ── Its files ────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def edited(self, path: str, text: str, other: str) -> Iterator[None]:
        """A file with other words in one place, put back at the end; fails where they don't stand once."""
        file = self.root / path
        before = file.read_text()
        assert before.count(text) == 1, f"{path} holds {text!r} {before.count(text)} times, not once"
        write(file, before.replace(text, other))
        try:
            yield
        finally:
            write(file, before)

    def configured(self, key: str, assignment: str) -> AbstractContextManager[None]:
        """strangler.toml with another line where it assigns `key`, for as long as the block lasts."""
        found = re.search(rf"^{key} = .*$", (self.root / "strangler.toml").read_text(), re.MULTILINE)
        assert found, f"strangler.toml has no {key}"
        return self.edited("strangler.toml", found[0] + "\n", assignment + "\n")


def _check_quiet(said: str) -> None:
    """Fail where Python or a library speaks instead of the kit."""
    for word in ("Traceback (most", "Warning:", "Unclosed"):
        assert word not in said, said


def _has_sockets(child: subprocess.Popen[str]) -> bool:
    assert child.poll() is None, f"the load ended with {child.returncode}: {child.communicate()[1]}"
    with suppress(FileNotFoundError):  # one that was closed meanwhile
        return any(
            str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{child.pid}/fd").iterdir()
        )
    return False


def write(file: Path, text: str) -> None:
    """Write a file so that nobody goes on with what was compiled from it before."""
    file.write_text(text)
    if file.suffix == ".py":  # the cache tells files apart by size and whole seconds
        Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def ask(url: str, **headers: str) -> Answer:
    """One GET; an answer of whatever status."""
    named = {name.replace("_", "-"): one for name, one in headers.items()}
    request = urllib.request.Request(url, headers=named)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers.get("x-strangler-home", ""), answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get("x-strangler-home", ""), error.read().decode())
    except OSError as error:
        return Answer(0, "", str(error))


def counted(load: subprocess.Popen[str]) -> dict[str, Any]:
    """End a load as Ctrl-C does, and give what it has counted."""
    if load.poll() is None:
        load.send_signal(signal.SIGINT)
    out, err = load.communicate(timeout=PATIENCE)
    _check_quiet(err)
    assert out, f"the load ended with {load.returncode}: {err}"
    found: dict[str, Any] = json.loads(out)
    return found


def until(true: Callable[[], object], what: str, *, within: float = PATIENCE, pause: float = 0.1) -> Any:
    """Wait for something, and return it; fail when it doesn't come."""
    deadline = time.monotonic() + within
    while not (found := true()):
        assert time.monotonic() < deadline, f"not in {within:g} s: {what}"
        time.sleep(pause)
    return found


@contextmanager
def copied(root: Path, *, database: bool = True) -> Iterator[Project]:
    """A copy of the working tree in `root`, with a database of its own on the server that is named.

    Without `database` its commands see no variable that names one.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HERE, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in listed:
        if name and (HERE / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, root / name)
    environment = {name: one for name, one in os.environ.items() if name not in NOT_A_USERS}
    environment = {name: one for name, one in environment.items() if not name.startswith("PYTEST_")}
    environment["PYTHONPATH"] = str(root)
    environment["STRANGLER_OPERATOR"] = "anna@journey"
    if not database:
        yield Project(root, environment)
        return
    if broker := os.environ.get("NAMED_BROKER_URL"):
        environment["BROKER_URL"] = broker
    with own_database(os.environ["DATABASE_URL"]) as url, own_names(broker or "", f"{root}/"):
        yield Project(root, {**environment, "DATABASE_URL": url})


@contextmanager
def own_names(broker: str, namespace: str) -> Iterator[None]:
    """Take away what a system has declared at a RabbitMQ."""
    yield
    if not broker.startswith("amqp"):
        return
    from kombu import Connection

    handlers = (file.read_text() for file in (HERE / "monolith").glob("*/handlers.py"))
    subscriptions = [name for text in handlers for name in re.findall(r'Subscription\("([^"]+)"', text)]
    dead = [f"{name}.dead" for name in subscriptions]
    with Connection(f"py{broker}") as connection:
        channel = connection.channel()
        for name in (*subscriptions, *dead, "events.unrouted"):
            channel.queue_delete(namespace + name)
        for name in ("events", "events.unrouted", *dead):
            channel.exchange_delete(namespace + name)


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """An empty database on a server, dropped at the end with those that were made beside it."""
    name = f"journey_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield with_database(server, name)
        finally:
            for column, table, drop in (
                ("datname", "pg_database", "DROP DATABASE {} WITH (FORCE)"),
                ("rolname", "pg_roles", "DROP ROLE {}"),
            ):
                found = connection.execute(
                    sql.SQL("SELECT {} FROM {} WHERE {} ^@ %s").format(
                        *map(sql.Identifier, (column, table, column))
                    ),
                    [name],
                ).fetchall()
                for (one,) in found:
                    connection.execute(sql.SQL(drop).format(sql.Identifier(one)))


def with_database(server: str, name: str) -> str:
    """A server's URL with another database in it."""
    address, _, rest = server.partition("://")[2].partition("/")
    _, mark, options = rest.partition("?")
    return f"postgresql://{address}/{name}{mark}{options}"
