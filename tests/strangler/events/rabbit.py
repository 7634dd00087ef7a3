"""A RabbitMQ node of a test's own, to be stopped, killed and started again as often as it takes.

It shares nothing with the machine's broker: its name, its ports, its files, its cookie and its port mapper
(epmd) are its own, and it listens on the loopback interface only. No plugin runs in it, unless STOMP is asked
for, which a peer in the benchmarks speaks.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strangler.run.postgres import free_port

READY_WITHIN = 60.0  # seconds
STOPS_WITHIN = 30.0  # seconds
_PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)  # Debian's wrapper on the PATH changes user and folder


class NoRabbit(RuntimeError):
    """There is no RabbitMQ here, or it doesn't start; the message says why."""


def program() -> str:
    """Where RabbitMQ's start script is; NoRabbit where there is none."""
    found = next((one for one in _PLACES if os.access(one, os.X_OK)), None) or shutil.which("rabbitmq-server")
    missing = [name for name, at in (("rabbitmq-server", found), ("epmd", shutil.which("epmd"))) if not at]
    if missing or not found:
        raise NoRabbit(
            f"{' and '.join(missing)} isn't installed here (Debian: apt-get install rabbitmq-server)"
        )
    return found


class Node:
    """One node with its files in `directory`; `url` is its address, the same after every start.

    With `stomp` it listens for that too, on `stomp_port`.
    """

    def __init__(self, directory: Path, *, stomp: bool = False) -> None:
        self._directory = directory
        self._port, mapper, talk = free_port(), free_port(), free_port()
        self._mapper_port = mapper
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self.stomp_port = free_port() if stomp else 0
        (directory / "plugins").write_text("[rabbitmq_stomp].\n" if stomp else "[].\n")
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\n"
            "loopback_users.guest = true\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 50MB\n"
            "log.file.level = warning\n"
            + (f"stomp.listeners.tcp.1 = 127.0.0.1:{self.stomp_port}\n" if stomp else "")
        )
        (directory / "environment").touch()
        self._environment = os.environ | {
            "HOME": str(directory),  # Erlang makes its cookie there
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the server, so that a signal meets it
            "RABBITMQ_NODENAME": f"fire-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(talk),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "environment"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "config"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._mapper: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        if self._mapper is None:
            self._mapper = self._run("epmd", "-address", "127.0.0.1", "-port", str(self._mapper_port))
        self._server = self._run(program())
        deadline = time.monotonic() + READY_WITHIN
        while not self._speaks():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise NoRabbit(f"RabbitMQ doesn't start:\n{self._last_words()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Let it end in its own good order, as a deployment does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does: what it hasn't synced is gone."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End everything that was started here."""
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        setpriv = shutil.which("setpriv")
        before = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []  # it mustn't outlive the test
        with (self._directory / "out").open("ab") as out:
            return subprocess.Popen(
                [*before, *command], env=self._environment, cwd=self._directory,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def _end(self, how: signal.Signals) -> None:
        if self._server is None:
            return
        self._server.send_signal(how)
        try:
            self._server.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def _speaks(self) -> bool:
        """Whether the broker answers an AMQP greeting; an open port says less."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1) as greeted:
            greeted.sendall(b"AMQP\x00\x00\x09\x01")
            return greeted.recv(1) == b"\x01"
        return False

    def _last_words(self) -> str:
        return "\n".join((self._directory / "out").read_text(errors="replace").splitlines()[-20:])


@contextmanager
def a_node(*, stomp: bool = False) -> Iterator[Node]:
    """A node that runs, for the block; NoRabbit where there is none."""
    program()
    with tempfile.TemporaryDirectory(prefix="rabbit-", ignore_cleanup_errors=True) as directory:
        node = Node(Path(directory), stomp=stomp)
        try:
            node.start()
            yield node
        finally:
            node.close()
