"""Envoy is asked before anything is put in place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strangler.envoy.errors import SnapshotRefused
from strangler.envoy.snapshot import CDS, LDS, RDS, Snapshot, of_resources, render
from strangler.envoy.validate import validate
from strangler.run.system import System
from tests.strangler.envoy.edge import at, shop


@pytest.fixture
def system(tmp_path: Path) -> System:
    homes = {"monolith": "http://127.0.0.1:18001", "catalog": "http://127.0.0.1:18002"}
    (tmp_path / ".strangler" / "logs").mkdir(parents=True)
    return System(str(tmp_path), 0, "http://127.0.0.1:18100", "http://127.0.0.1:18190", homes, {}, {})


def changed(snapshot: Snapshot, name: str, before: str, after: str) -> Snapshot:
    """The snapshot with one thing wrong in one file."""
    resources = {one: snapshot.resources(one) for one in snapshot.files}
    text = json.dumps(resources[name])
    assert before in text
    return of_resources({**resources, name: json.loads(text.replace(before, after))}, snapshot.number)


@pytest.mark.parametrize("phase", ["monolith", "shadow", "canary=1", "canary=99", "switched"])
def test_envoy_would_take_every_phase(system: System, phase: str) -> None:
    validate(render(shop(Path(system.root)), system, at(phase)), system, stays=None)


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        (RDS, '"cluster": "monolith"', '"cluster": "nowhere"', "unknown cluster 'nowhere'"),
        (RDS, '"prefix": "/"', '"prefx": "/"', "no such field: 'prefx'"),
        (RDS, "products/[0-9]+/", "products/([0-9]+/", "missing )"),
        (CDS, '"connect_timeout": "0.25s"', '"connect_timeout": "soon"', "connect_timeout"),
        (LDS, "filters.http.router.v3.Router", "filters.http.nothing.v3.Nothing", "Nothing"),
        ("eds/catalog/eds.json", "127.0.0.1", "elsewhere", "elsewhere"),
    ],
)
def test_a_broken_file_is_refused_in_envoys_words(
    system: System, name: str, before: str, after: str, words: str
) -> None:
    broken = changed(render(shop(Path(system.root)), system, at("shadow")), name, before, after)
    with pytest.raises(SnapshotRefused) as refusal:
        validate(broken, system, stays="6-aaaaaaaaaa")
    assert words in refusal.value.words
    assert f"Envoy refused revision {broken.revision}" in str(refusal.value)
    assert "Revision 6-aaaaaaaaaa stays in place" in str(refusal.value)
    assert "\n" not in str(refusal.value)
