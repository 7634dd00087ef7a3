"""A PostgreSQL of a run's own that may be restarted and crashed, durable as a deployed one is."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strangler.run import postgres


class Server:
    """One cluster, the same port after every start."""

    def __init__(self, directory: Path) -> None:
        self._cluster = postgres.prepare(directory, durable=True)
        self._port = postgres.free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """The superuser's URL of a database."""
        return self._cluster.url(self._port, database)

    def start(self) -> None:
        """Start it, and return once it takes connections; it recovers first where it has crashed."""
        with (self._cluster.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._cluster.command(self._port), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self._cluster.directory,
            )  # fmt: skip
        deadline = time.monotonic() + postgres.READY_WITHIN
        while not postgres.answers(self.url()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise postgres.PostgresFailed(postgres.last_lines(self._cluster.directory / "server.log"))
            time.sleep(0.03)

    def stop(self) -> None:
        """Disconnect everybody and end in good order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End at once, without a checkpoint: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """End it, and take its files away."""
        self.crash()
        shutil.rmtree(self._cluster.directory, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


@contextmanager
def a_server() -> Iterator[Server]:
    """A server that runs, for the block."""
    with tempfile.TemporaryDirectory(prefix="fire-", ignore_cleanup_errors=True) as directory:
        server = Server(Path(directory) / "postgres")
        try:
            server.start()
            yield server
        finally:
            server.close()
