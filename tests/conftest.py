"""Where every test run begins: which home is asked, and on which PostgreSQL.

`--home` chooses the home whose modules the suites under tests/contexts meet; one process meets one home,
since labels of Django applications are unique in a process. Without DATABASE_URL a PostgreSQL is started.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

SERVICES = sorted(
    path.parents[1].name for path in Path(__file__).parents[1].glob("extracted/*/service/settings.py")
)
SETTINGS = {"monolith": "monolith.settings"} | {one: f"extracted.{one}.service.settings" for one in SERVICES}

_run = ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--home", choices=list(SETTINGS), default="monolith", help="the home that the suites meet"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name the settings and the servers before pytest-django looks for them; xdist's workers inherit them."""
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS[config.getoption("--home")]
    if config.option.help:
        return
    if not hasattr(config, "workerinput"):
        _start_servers()
    import django

    django.setup()


def _start_servers() -> None:
    state = Path(_run.enter_context(tempfile.TemporaryDirectory(prefix="marketplace-tests-")))
    os.environ["STATE_DIRECTORY"] = str(state)
    os.environ["IDENTITY_JWKS_URL"] = _make_keys(state).as_uri()
    # The journeys run whole systems, which use the broker that is named.
    os.environ["NAMED_BROKER_URL"] = os.environ.get("BROKER_URL", "")
    os.environ["BROKER_URL"] = "memory://"
    os.environ["MARKETPLACE_TESTS"] = str(os.getpid())
    if not os.environ.get("DATABASE_URL"):
        # Not at the top: where the service stands alone, there is no kit, and the database is named.
        from strangler.run.postgres import embedded_postgres

        os.environ["DATABASE_URL"] = _run.enter_context(embedded_postgres(state / "postgres"))


def _make_keys(state: Path) -> Path:
    """A key that both homes trust: the monolith finds it as its own, a service among the published ones."""
    from joserfc.jwk import ECKey, KeySet

    key = ECKey.generate_key("P-256", auto_kid=True)
    (state / "identity.jwk").write_text(json.dumps(key.as_dict(private=True)))
    (state / "identity.jwk").chmod(0o600)
    published = state / "jwks.json"
    published.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    os.environ["IDENTITY_KEY_FILE"] = str(state / "identity.jwk")
    return published


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A service's process meets the suite of its own context, and nothing else."""
    home = config.getoption("--home")
    own = Path(__file__).parent / "contexts" / home
    if home == "monolith" or own in (collection_path, *collection_path.parents):
        return None
    return collection_path not in own.parents


def pytest_unconfigure(config: pytest.Config) -> None:
    _run.close()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> None:
    """A test database of this run's own: several runs may use one server."""
    from django.conf import settings

    name = f"test_{request.config.getoption('--home')}_{os.environ['MARKETPLACE_TESTS']}"
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = f"{name}_{worker}" if worker else name
