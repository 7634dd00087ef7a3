"""The import contracts hold; and each of them is seen broken, on a copy of the tree that breaks it."""

from __future__ import annotations

import configparser
import os
import pkgutil
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.tree import ROOT, SERVICES, skip

CONTRACTS, KNOTS = ".importlinter", "monolith/.importlinter"


def lint(directory: Path, config: str) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        # -S: an editable install would lead from the copy back to the tree.
        [sys.executable, "-S", "-c", program, "--no-cache", "--config", config],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("config", [CONTRACTS, KNOTS])
def test_the_contracts_hold(config):
    result = lint(ROOT, config)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_contracts_name_every_part_of_the_kit():
    config = configparser.ConfigParser()
    config.read(ROOT / CONTRACTS)
    kit = {f"strangler.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "strangler")])}
    for contract, key in [
        ("chassis-alone", "forbidden_modules"),
        ("chassis", "forbidden_modules"),
        ("no-django", "source_modules"),
    ]:
        named = set(config[f"importlinter:contract:{contract}"][key].split())
        assert named == kit - {"strangler.chassis"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, to be broken."""
    for package in ("monolith", "extracted", "strangler"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / CONTRACTS, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "statement", "config", "broken"),
    [
        (
            "extracted/catalog/selectors.py",
            "import monolith.catalog.models",
            CONTRACTS,
            "The monolith and the services share nothing",
        ),
        (
            "monolith/catalog/services.py",
            "import strangler.config",
            CONTRACTS,
            "The monolith and the services see only the chassis of the kit",
        ),
        (
            "strangler/chassis/health.py",
            "import strangler.control.phases",
            CONTRACTS,
            "The chassis knows no control plane",
        ),
        ("strangler/config.py", "import extracted", CONTRACTS, "The kit holds no business code"),
        (
            "strangler/config.py",
            "import django.conf",
            CONTRACTS,
            "Outside of its chassis the kit never imports Django",
        ),
        (
            "extracted/catalog/models.py",
            "from . import selectors",
            CONTRACTS,
            "Inside a context every import points down",
        ),
        (
            "monolith/catalog/selectors.py",
            "from ..ordering import models as orders",
            KNOTS,
            "Contexts of the monolith meet in anticorruption.py alone",
        ),
    ],
)
def test_an_import_that_must_not_be_breaks_its_contract(copy, file, statement, config, broken):
    if file.startswith("extracted/") and not SERVICES:
        skip("no service is in this tree: a later step brings one")
    with (copy / file).open("a") as source:
        source.write(f"\n{statement}\n")
    result = lint(copy, config)
    assert result.returncode == 1
    assert f"{broken} BROKEN" in result.stdout


def test_a_service_may_not_import_another_one(copy):
    for service, statement in (("hats", "import extracted.shoes\n"), ("shoes", "")):
        (copy / "extracted" / service).mkdir()
        (copy / "extracted" / service / "__init__.py").write_text(statement)
        for layer in ("urls", "api", "models"):
            (copy / "extracted" / service / f"{layer}.py").write_text("")
    result = lint(copy, CONTRACTS)
    assert "Services meet on the wire BROKEN" in result.stdout


def test_an_exception_whose_import_is_gone_fails_the_run(copy):
    (copy / "monolith" / "inventory" / "api.py").write_text("")
    result = lint(copy, KNOTS)
    assert result.returncode == 1
    assert "monolith.inventory.api -> monolith.identity.models" in result.stdout
