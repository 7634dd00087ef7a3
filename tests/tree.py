"""What this tree holds: a step before an extraction has no service, and skips what needs one.

On main nothing is skipped for this reason: where a service's folder is, everything about it must be there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVICES = sorted(path.parents[1].name for path in ROOT.glob("extracted/*/service/settings.py"))
SETTINGS = {
    "monolith": "monolith.settings",
    **{name: f"extracted.{name}.service.settings" for name in SERVICES},
}
# The steps are kept on main; in a tree that was built from them they aren't there.
KEEPS_STEPS = (ROOT / "docs" / "steps" / "steps.toml").is_file()


def skip_without(service: str) -> None:
    """Skip the module that calls this in a tree that comes before the service's extraction."""
    if service not in SERVICES:
        pytest.skip(
            f"extracted/{service} isn't in this tree: a later step brings it", allow_module_level=True
        )
