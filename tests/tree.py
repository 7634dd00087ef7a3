"""What this tree and its machine hold: a step before an extraction has no service, and skips what needs one.

On main nothing is skipped for this reason: where a service's folder is, everything about it must be there.
CI runs on main with every server there is, and skips nothing at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVICES = sorted(path.parents[1].name for path in ROOT.glob("extracted/*/service/settings.py"))
SETTINGS = {
    "monolith": "monolith.settings",
    **{name: f"extracted.{name}.service.settings" for name in SERVICES},
}
# The steps are kept on main; in a tree that was built from them they aren't there.
KEEPS_STEPS = (ROOT / "docs" / "steps" / "steps.toml").is_file()


def skip(reason: str) -> NoReturn:
    """Skip the test, fixture or module that calls this; in CI it fails instead."""
    if os.environ.get("CI"):
        pytest.fail(f"CI skips nothing, and would here: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def skip_without(path: str) -> None:
    """Skip the module that calls this in a step's tree that holds nothing by this path or glob.

    Never on main: what is missing there must fail.
    """
    if not KEEPS_STEPS and not any(ROOT.glob(path)):
        skip(f"{path} isn't in this step's tree: a later one brings it")
