"""Every context has the same shape: the names of the layout, and only those that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tree import ROOT, SERVICES

OURS = {
    "__init__.py",
    "apps.py",
    "models.py",
    "migrations",
    "services.py",
    "selectors.py",
    "api.py",
    "urls.py",
    "events.py",
    "handlers.py",
    "anticorruption.py",
    "errors.py",
    "saga.py",
}
# Django's, DRF's and Celery's own names.
THEIRS = {
    "admin.py",
    "authentication.py",
    "forms.py",
    "management",
    "serializers.py",
    "signals.py",
    "tasks.py",
    "templates",
    "views.py",
}
SERVICE = {"__init__.py", "settings.py", "urls.py", "wsgi.py", "Dockerfile", "requirements.txt"}
MONOLITH = {
    "__init__.py",
    "settings.py",
    "urls.py",
    "wsgi.py",
    "celery.py",
    "pages.py",
    "counter.py",  # what the pages have the catalog write, wherever that is
    "storefront.py",  # what the shop's page asks of the catalog, wherever that is
    "shared.py",  # a knot: docs/steps/00-monolith
    "templates",
    "static",
    "Dockerfile",
    ".importlinter",
    ".entanglements",
}
CONTEXTS = sorted(
    path.parent for home in ("monolith", "extracted") for path in (ROOT / home).glob("*/apps.py")
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"__pycache__"}


def test_there_are_contexts_in_every_home():
    assert {context.parent.name for context in CONTEXTS} == {"monolith", *(["extracted"] if SERVICES else [])}


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: f"{context.parent.name}/{context.name}")
def test_a_context_has_the_names_of_the_layout_alone(context):
    service = {"service"} if context.parent.name == "extracted" else set()
    assert names(context) <= OURS | THEIRS | service
    assert {"__init__.py", "apps.py", "models.py", "migrations", "urls.py", "api.py"} <= names(context)


def test_a_service_is_run_and_built_by_the_same_files():
    for context in CONTEXTS:
        if context.parent.name == "extracted":
            assert names(context / "service") == SERVICE


def test_the_monolith_is_its_contexts_and_what_runs_them():
    contexts = {context.name for context in CONTEXTS if context.parent.name == "monolith"}
    assert names(ROOT / "monolith") <= contexts | MONOLITH


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: f"{context.parent.name}/{context.name}")
def test_a_context_is_registered_under_its_folders_name_wherever_it_lies(context):
    text = (context / "apps.py").read_text()
    assert "name = __package__" in text
    assert f'label = "{context.name}"' in text


@pytest.mark.parametrize(
    "file",
    sorted(
        path.relative_to(ROOT)
        for context in CONTEXTS
        for path in context.rglob("*.py")
        if "service" not in path.parts
    ),
    ids=str,
)
def test_a_context_imports_itself_relatively(file):
    """An absolute import of its own home would have to change on the way to the other one."""
    text = (ROOT / file).read_text()
    assert not any(
        f"{word} {home}." in text for word in ("import", "from") for home in ("monolith", "extracted")
    )


@pytest.mark.parametrize("service", SERVICES)
def test_files_that_need_no_change_are_the_same_in_both_homes(service):
    for name in ("__init__.py", "selectors.py"):
        twins = [(ROOT / home / service / name).read_text() for home in ("monolith", "extracted")]
        assert twins[0] == twins[1]
