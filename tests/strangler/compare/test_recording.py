"""A recording keeps one request per shape, few of them, and nothing that could be used to log in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from strangler.compare.errors import CouldNotCompare
from strangler.compare.observation import ANONYMOUS, Caller, Request
from strangler.compare.recording import Recording, read, record_of
from strangler.compare.shape import fingerprint

ROUTE = "GET /api/rugs/<int:pk>/"


def line(target: str, caller: Caller = ANONYMOUS) -> object:
    request = Request("GET", target, "shop.test", caller)
    return record_of(fingerprint(ROUTE, request), request, 200, b"{}")


def test_what_is_recorded_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "recordings" / "catalog.read.jsonl"
    recording = Recording(path, 10)
    recording.add(line("/api/rugs/7/?page=2", Caller("buyer", "42")))
    recording.flush()
    (one,) = read(path)
    assert (one.method, one.target, one.caller) == ("GET", "/api/rugs/7/?page=2", Caller("buyer", "42"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_shape_is_kept_once(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a.jsonl", 10)
    for target in ("/api/rugs/7/?a=1&b=2", "/api/rugs/7/?b=2&a=1", "/api/rugs/8/?a=1&b=2"):
        recording.add(line(target, Caller("buyer", "42")))
        recording.add(line(target, Caller("buyer", "43")))
    recording.flush()
    assert len(read(tmp_path / "a.jsonl")) == 2


def test_the_ring_keeps_the_newest_and_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    recording = Recording(path, 10)
    for number in range(95):
        recording.add(line(f"/api/rugs/{number}/"))
        recording.flush()
        assert len(path.read_bytes().splitlines()) <= 20
    assert [one.target for one in read(path)[-10:]] == [f"/api/rugs/{n}/" for n in range(85, 95)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_recording_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for _ in range(2):
        recording = Recording(path, 10)
        recording.add(line("/api/rugs/7/"))
        recording.flush()
    assert len(path.read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["token", "access_token", "api_key", "password", "sessionid", "signature", "email"]
)
def test_telling_query_parameters_are_taken_out(tmp_path: Path, name: str) -> None:
    recording = Recording(tmp_path / "a.jsonl", 10)
    recording.add(line(f"/api/rugs/7/?page=2&{name}=hunter2"))
    recording.flush()
    content = (tmp_path / "a.jsonl").read_text()
    assert "hunter2" not in content
    assert f"?page=2&{name}=redacted" in content


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    recording = Recording(path, 10)
    recording.add(line("/api/rugs/7/"))
    recording.flush()
    with path.open("a") as file:
        file.write('{"shape":"12')
    assert len(read(path)) == 1


def test_a_missing_recording_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCompare, match=r"strangler load") as refused:
        read(tmp_path / "a.jsonl")
    assert refused.value.exit_code == 2
