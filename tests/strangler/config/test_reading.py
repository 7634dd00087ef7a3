"""strangler.toml is read whole, and what is wrong is pointed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from strangler import config
from strangler.errors import ConfigError, UsageError
from tests.tree import ROOT as PROJECT
from tests.tree import skip_without

skip_without("extracted/catalog")  # what is spoiled here is the last step's strangler.toml
TEXT = (PROJECT / config.FILE_NAME).read_text()


def spoiled(original: str, replacement: str) -> str:
    assert original in TEXT, "strangler.toml has changed; so must this test"
    return TEXT.replace(original, replacement, 1)


def line_of(snippet: str, text: str) -> int:
    return text[: text.index(snippet)].count("\n") + 1


def test_the_projects_own_file_is_read() -> None:
    read = config.load(PROJECT)
    assert read.capability("catalog.read").owner == "monolith"


@pytest.mark.parametrize(
    ("original", "replacement", "pointed_at", "said"),
    [
        ('kind = "read"', 'kind = "reed"', 'kind = "reed"', "'read' or 'write'"),
        ("sample = 0.8", "sample = 25", "sample = 25", "between 0 and 1"),
        ("weight = 24", 'weight = "x"', 'weight = "x"', "a whole number"),
        ("port = 8000", "port = 800000", "port = 800000", "between 0 and 65535"),
        ("port = 8000", "prot = 8000", "prot = 8000", "Nothing reads 'prot'"),
        ('phase = "switched"', 'phase = "swiched"', 'phase = "swiched"', "no phase 'swiched'"),
        ('"GET /api/catalog/sellers/"', '"GOT /api/"', "routes = [", "'GOT /api/'"),
        ('"GET /api/catalog/sellers/"', '"POST /api/x/"', "routes = [", "POST writes"),
        ('process = "catalog"', 'process = "catalo"', 'process = "catalo"', "no process 'catalo'"),
        ('needs = ["monolith"]', 'needs = ["worker"]', 'needs = ["worker"]', "back to itself"),
        ('env = "DATABASE_URL"', 'env = "D"\nbeside = "catalog"', 'beside = "catalog"', "back to itself"),
    ],
)
def test_a_wrong_value_is_pointed_at(original: str, replacement: str, pointed_at: str, said: str) -> None:
    text = spoiled(original, replacement)
    with pytest.raises(ConfigError, match=said) as refusal:
        config.parse(text, PROJECT)
    assert (refusal.value.line, refusal.value.exit_code) == (line_of(pointed_at, text), 2)


def test_a_missing_value_is_pointed_at_by_its_table() -> None:
    text = spoiled('home = "catalog"\n', "")
    with pytest.raises(ConfigError, match="needs a value for 'home'") as refusal:
        config.parse(text, PROJECT)
    assert refusal.value.line == line_of('[capabilities."catalog.read"]', text)


def test_what_is_no_toml_is_said_with_line_and_column() -> None:
    text = spoiled("[compare]\n", "[compare\n")
    with pytest.raises(ConfigError, match="no valid TOML") as refusal:
        config.parse(text, PROJECT)
    assert (refusal.value.line, refusal.value.column) == (line_of("[compare\n", text), 9)


def test_an_unknown_capability_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"declares: catalog\.read"):
        config.load(PROJECT).capability("rugs.read")


def test_a_directory_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no strangler\.toml"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/api/catalog/products/", "GET /api/catalog/products/"),
        ("GET", "/api/catalog/products/?page=3", "GET /api/catalog/products/"),
        ("HEAD", "/api/catalog/products/12/", "GET /api/catalog/products/<int:pk>/"),
        ("GET", "/api/catalog/products/12/reviews/", "GET /api/catalog/products/<int:pk>/reviews/"),
        ("POST", "/api/catalog/products/", None),
        ("GET", "/api/catalog/products/rug/", None),
        ("GET", "/api/catalog/products/12", None),
        ("GET", "/x/api/catalog/products/", None),
    ],
)
def test_a_request_belongs_to_one_route_or_to_none(method: str, path: str, route: str | None) -> None:
    found = config.load(PROJECT).capability("catalog.read").route_of(method, path)
    assert (str(found) if found else None) == route


def test_without_a_gateway_clients_come_in_at_the_one_home() -> None:
    alone = '[project]\nname = "shop"\n[homes.shop]\nurl = "http://127.0.0.1:8001"\n'
    gateway = config.parse(alone, PROJECT).gateway
    assert (gateway.declared, gateway.default) == (False, "shop")


@pytest.mark.parametrize(
    "more",
    ['[homes.other]\nurl = "http://127.0.0.1:8002"\n', '[capabilities."a.read"]\nkind = "read"\n'],
    ids=["two homes", "a capability"],
)
def test_a_gateway_that_is_needed_is_missed(more: str) -> None:
    with pytest.raises(ConfigError, match=r"\[gateway\] is missing"):
        config.parse(
            '[project]\nname = "shop"\n[homes.shop]\nurl = "http://127.0.0.1:8001"\n' + more, PROJECT
        )
