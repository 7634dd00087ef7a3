"""A small strangler.toml with two read capabilities and a write one, for the control plane's tests."""

from __future__ import annotations

import re
from pathlib import Path

from strangler import config
from strangler.config import Config
from strangler.run.system import System

TEXT = """
[project]
name = "rugs"
[databases.control]
env = "STRANGLER_DATABASE_URL"
[homes.monolith]
url = "http://127.0.0.1:1"
[homes.catalog]
url = "http://127.0.0.1:2"
[gateway]
default = "monolith"

[capabilities."catalog.read"]
kind = "read"
home = "catalog"
phase = "switched"
routes = ["GET /rugs/<int:pk>/"]
tables = ["catalog_rug", "catalog_weaver"]
gate = { mismatch_limit = 0.01, confidence = 0.95, latency_slack = 1.0, critical = ["$.price"] }

[capabilities."reviews.read"]
kind = "read"
home = "catalog"
phase = "monolith"
routes = ["GET /reviews/"]

[capabilities."catalog.write"]
kind = "write"
home = "catalog"
routes = ["POST /rugs/"]
phase = "switched"
tables = ["catalog_rug", "catalog_weaver"]
switch = { quiet = 3600, fence = 10, soak = 0 }
"""


def wanted(root: Path, text: str = TEXT) -> Config:
    return config.parse(text, root)


def only_catalog_read(root: Path, phase: str = "switched") -> Config:
    """The same with one capability alone, which is to reach `phase`."""
    text = TEXT[: TEXT.index('[capabilities."reviews.read"]')]
    return wanted(root, text.replace('phase = "switched"', f'phase = "{phase}"'))


def only_catalog_write(root: Path, switch: str = "") -> Config:
    """The same with the write capability alone; `switch` stands in place of its numbers."""
    text = TEXT[: TEXT.index('[capabilities."catalog.read"]')]
    text += TEXT[TEXT.index('[capabilities."catalog.write"]') :]
    return wanted(root, re.sub(r"switch = .*", f"switch = {{ {switch} }}", text) if switch else text)


def a_system(root: Path, control_url: str) -> System:
    return System(
        root=str(root),
        supervisor=0,
        gateway="http://127.0.0.1:3",
        gateway_admin="http://127.0.0.1:4",
        homes={"monolith": "http://127.0.0.1:1", "catalog": "http://127.0.0.1:2"},
        databases={"control": control_url},
        modes={"database": "named", "broker": "embedded"},
    )
