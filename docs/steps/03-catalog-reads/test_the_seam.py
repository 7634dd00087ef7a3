"""The catalog's reads name no other context's tables, and have a second home that claims their routes."""

from __future__ import annotations

import re
from pathlib import Path

from strangler import config

ROOT = Path(__file__).resolve().parents[3]


def test_the_reads_ask_no_other_context() -> None:
    for name in ("api", "models", "serializers"):
        text = (ROOT / f"monolith/catalog/{name}.py").read_text()
        assert re.findall(r"^from \.\.(?:\w+)? ?(?:\.\w+)*.*import.*$", text, re.MULTILINE) == []


def test_every_read_of_the_api_can_move() -> None:
    read = config.load(ROOT).capabilities.get("catalog.read")
    assert read is not None
    assert len(read.routes) > 5
    assert (ROOT / "extracted" / read.home / "service" / "settings.py").is_file()
