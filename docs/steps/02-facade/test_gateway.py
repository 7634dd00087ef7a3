"""Clients come in at Envoy, whatever they ask for, and get the monolith's answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SERVERS = ("DATABASE_URL", "STRANGLER_DATABASE_URL", "CATALOG_DATABASE_URL", "BROKER_URL")


def strangler(*words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in SERVERS}
    done = subprocess.run(
        [sys.executable, "-m", "strangler.cli", "--root", str(ROOT), *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout


def asked(url: str) -> tuple[int, Any]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.status, answer.headers


def test_every_request_passes_the_gateway_and_the_monolith_answers() -> None:
    strangler("run", "--detach")
    try:
        processes = {row["name"]: row for row in json.loads(strangler("ps", "--json"))["processes"]}
        assert "gateway" in processes
        for path in ("/", "/api/catalog/products/", "/account/login/", "/health/ready"):
            status, headers = asked(processes["gateway"]["url"] + path)
            assert status == 200
            assert headers["x-strangler-home"] == "monolith"
    finally:
        strangler("stop")
