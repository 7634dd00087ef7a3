"""Others' outboxes, in an environment of their own: what they need isn't what this project needs."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.benchmarks.peers import installed

HERE = Path(__file__).parent


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


def outboxes() -> Peers:
    """The peers' environment; made at the first call, which takes half a minute and needs a package index."""
    found = installed("outboxes")
    return Peers(found / "python") if found else Peers(None, "not installed")
