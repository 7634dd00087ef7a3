"""Others' outboxes, in an environment of their own: what they need isn't what this project needs.

The environment is made anew under a temporary directory, from requirements-peers.lock, and thrown away.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements-peers.lock"


@dataclass(frozen=True)
class Peers:
    """The environment's Python, or the reason that there is none."""

    python: Path | None
    reason: str = ""

    def trial(
        self, name: str, url: str, amqp: str, stomp: int, events: int, latencies: int
    ) -> dict[str, float]:
        """One peer's figures, on an empty database of its own; OSError says why there are none."""
        if self.python is None:
            raise OSError(self.reason)
        parts = conninfo_to_dict(url)
        names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
        environment = os.environ | {
            "PEER_DATABASE": json.dumps({name: parts.get(part, "") for name, part in names.items()}),
            "PEER_AMQP": f"py{amqp}", "PEER_STOMP": str(stomp), "PYTHONPATH": str(HERE),
        }  # fmt: skip
        command = [self.python, "trial.py", name, str(events), str(latencies)]
        run = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=300)
        if run.returncode:
            raise OSError((run.stderr.strip().splitlines() or ["no word"])[-1][:200])
        figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
        return figures


@contextmanager
def installed() -> Iterator[Peers]:
    """The peers' environment; it takes half a minute, and needs a package index."""
    with tempfile.TemporaryDirectory(prefix="peers-") as directory:
        venv.create(directory, with_pip=True)
        python = Path(directory) / "bin" / "python"
        command = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", LOCK]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            yield Peers(None, "not installed: it took too long")
            return
        if run.returncode:
            yield Peers(None, f"not installed: {(run.stderr.strip().splitlines() or ['no word'])[-1][:200]}")
            return
        yield Peers(python)
