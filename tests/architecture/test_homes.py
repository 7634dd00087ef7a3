"""The catalog's suite once more: in the service's home, and where nothing but the service is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.tree import ROOT, skip_without

skip_without("extracted/catalog")
LEAST = 60  # tests that must have run; an empty run proves nothing

PYTEST_INI = """
[pytest]
pythonpath = .
addopts = --import-mode=importlib --strict-markers -p no:cacheprovider
filterwarnings = error
timeout = 120
"""


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A process that knows nothing of the run that started it, except where PostgreSQL is.
    kept = ("PATH", "HOME", "LANG", "DATABASE_URL", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    # -S, and the installed distributions by path: an editable install of the kit would be found otherwise.
    environment["PYTHONPATH"] = sysconfig.get_path("purelib")
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def passed(result: subprocess.CompletedProcess[str]) -> int:
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    count = re.search(r"(\d+) passed", result.stdout)
    return int(count.group(1)) if count else 0


@pytest.mark.timeout(330)
def test_the_suite_passes_in_the_extracted_catalog():
    result = run(
        ROOT, "-m", "pytest", "tests/contexts/catalog", "--home", "catalog", "-q", "-p", "no:cacheprovider"
    )
    assert passed(result) >= LEAST


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A directory that holds the service, the chassis and the suite: what is deployed, and what proves it."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for folder in ("extracted/catalog", "strangler/chassis", "tests/contexts/catalog"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=unwanted)
    for file in ("extracted/__init__.py", "strangler/__init__.py", "tests/conftest.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    for file in (tmp_path / "tests/contexts/catalog").glob("test_*.py"):
        if "monolith." in file.read_text() or "tests.contexts.factories" in file.read_text():
            file.unlink()  # the monolith's pages, and writes that haven't moved
    (tmp_path / "pytest.ini").write_text(PYTEST_INI)
    return tmp_path


@pytest.mark.timeout(330)
def test_the_suite_passes_where_only_the_service_exists(alone):
    assert passed(run(alone, "-m", "pytest", "tests/contexts/catalog", "--home", "catalog", "-q")) >= LEAST


@pytest.mark.parametrize(
    "module", ["monolith", "strangler.control", "strangler.run.postgres", "strangler.config"]
)
def test_where_only_the_service_exists_nothing_else_can_be_imported(alone, module):
    result = run(alone, "-c", f"import {module}")
    assert "ModuleNotFoundError" in result.stderr


def test_the_service_names_every_distribution_that_it_imports(alone):
    """requirements.txt is what the image installs: an import outside of it would only fail there."""
    listed = {
        re.split(r"[\[=]", line)[0].lower()
        for line in (alone / "extracted/catalog/service/requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    modules = {
        "django": "django",
        "environ": "django-environ",
        "rest_framework": "djangorestframework",
        "drf_spectacular": "drf-spectacular",
        "drf_standardized_errors": "drf-standardized-errors",
        "httpx": "httpx",
        "joserfc": "joserfc",
        "opentelemetry": "opentelemetry-sdk",
        "prometheus_client": "prometheus-client",
        "psycopg": "psycopg",
    }
    imported = set()
    for folder in ("extracted", "strangler"):
        for file in (alone / folder).rglob("*.py"):
            imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE))
    # What of the chassis is for Celery's applications is imported by them alone.
    foreign = imported - set(sys.stdlib_module_names) - {"extracted", "strangler", "celery"}
    assert {modules.get(name, name) for name in foreign} <= listed
