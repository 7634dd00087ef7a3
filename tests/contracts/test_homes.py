"""The marketplace's homes, really served: what consumers need holds, what is broken shows in its row"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strangler import config as project
from strangler.contracts.compare import replay
from strangler.contracts.homes import serving
from strangler.contracts.verify import Verification, pacts_of, run, verify
from tests.contracts.messages import MESSAGES

ROOT = Path(__file__).parents[2]
NEEDED = ("monolith", "extracted", "strangler", "tests/contracts", "tests/contexts/catalog")


@pytest.fixture(autouse=True)
def own_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made beside the suites' own, and nothing of theirs is shown to the homes."""
    monkeypatch.setenv("CONTRACTS_DATABASE_URL", os.environ["DATABASE_URL"])
    for name in ("STATE_DIRECTORY", "IDENTITY_JWKS_URL", "IDENTITY_KEY_FILE", "PYTEST_VERSION"):
        monkeypatch.delenv(name, raising=False)


def test_both_homes_keep_every_contract_and_answer_the_same() -> None:
    config = project.load(ROOT)
    pacts = pacts_of(config)
    answered = [pact for pact in pacts if pact.provider == "catalog.read"]
    with serving(config, ["monolith", "catalog"]) as homes:
        outcomes = run(homes["monolith"], pacts) + run(homes["catalog"], pacts)
        compared = [
            replay(pact, one, homes["monolith"], homes["catalog"])
            for pact in answered
            for one in pact.interactions
        ]
    done = Verification(tuple(outcomes), {}, pacts)
    assert [one.findings for one in outcomes if not one.passed] == []
    assert done.interactions == 2 * (len(compared) + len(MESSAGES))
    assert {one.pact.consumer for one in outcomes} == {"ordering", "storefront", "reporting"}
    assert [(one.interaction.description, one.found) for one in compared if one.found] == []


def test_a_renamed_field_in_either_home_turns_exactly_its_row_red(tmp_path: Path) -> None:
    for name in NEEDED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "strangler.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    rename(
        tmp_path / "monolith/catalog/serializers.py",
        '"slug", "description", "country", "created_at"]',
        '"slug", "about", "country", "created_at"]',
        "class SellerSerializer(serializers.ModelSerializer[Seller]):",
        '    about = serializers.CharField(source="description", read_only=True)\n',
    )
    rename(
        tmp_path / "extracted/catalog/serializers.py",
        'fields = ["id", "name", "slug", "parent"]',
        'fields = ["id", "title", "slug", "parent"]',
        "class CategorySerializer(serializers.ModelSerializer[Category]):",
        '    title = serializers.CharField(source="name", read_only=True)\n',
    )
    done = verify(project.load(tmp_path))
    red = {(one.home, one.pact.consumer, name) for one in done.outcomes for name in one.failed}
    assert red == {
        ("monolith", "storefront", "the shop's question for a seller, by its slug"),
        ("catalog", "storefront", "the shop's question for its shelves"),
    }


def rename(file: Path, fields: str, others: str, head: str, declared: str) -> None:
    """Give a serializer's field another name."""
    text = file.read_text()
    assert text.count(fields) == 1
    assert text.count(head) == 1
    file.write_text(text.replace(fields, others).replace(f"{head}\n", f"{head}\n{declared}"))


# ── Never in production ──────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_no_deployed_home_has_provider_states(client) -> None:
    for path in ("/_contracts/states", "/_contracts/messages"):
        assert client.post(path, {}, content_type="application/json").status_code == 404


def test_no_image_has_them_and_no_home_imports_them() -> None:
    for file in ("monolith/Dockerfile", "extracted/catalog/service/Dockerfile"):
        assert "COPY tests" not in (ROOT / file).read_text()
    for home in ("monolith", "extracted"):
        assert not [path for path in (ROOT / home).rglob("*.py") if "tests.contracts" in path.read_text()]


def test_states_are_refused_on_a_database_that_was_not_made_for_them() -> None:
    environment = {name: one for name, one in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"DATABASE_URL": "postgres://127.0.0.1/marketplace", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", "import tests.contracts.provider"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "'marketplace' isn't a database that was made for them" in done.stderr
