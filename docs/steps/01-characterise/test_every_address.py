"""Every address of the catalog is asked by its suite, so that none can change unseen."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_address_of_the_catalog_is_asked_by_a_test() -> None:
    addresses = re.findall(r'path\(\s*"([^"]*)"', (ROOT / "monolith/catalog/urls.py").read_text())
    wanted = {re.sub(r"<[^>]+>", "*", f"/api/catalog/{one}") for one in addresses}
    asked = set()
    for file in (ROOT / "tests/contexts/catalog").glob("test_*.py"):
        text = re.sub(r"\{[^}]+\}|4711|brakes|hats", "*", file.read_text())
        base = re.search(r'^URL = "([^"]+)"', text, re.MULTILINE)
        text = text.replace("{URL}", base[1] if base else "")
        asked |= set(re.findall(r"/api/catalog/[\w/*-]*", text))
    assert len(wanted) > 5
    assert wanted - asked == set()
