"""What the gateway leaves is read once and deleted; what can't be read is waited for, then counted."""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib
from pathlib import Path

import pytest

from strangler.compare.capture import FILES, CaptureDirectory, Undecodable, decode, parse
from tests.strangler.compare.conftest import trace


def leave(directory: Path, name: str, content: str | dict[str, object], age: float = 0.0) -> Path:
    path = directory / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_a_file_is_read_once_and_deleted(tmp_path: Path) -> None:
    leave(tmp_path, "catalog.read_17.json", trace("/api/rugs/7/?a=b", 200, b'{"id":7}', user="buyer1"))
    directory = CaptureDirectory(tmp_path)
    (one,) = directory.take(10)
    assert (one.capability, one.method, one.target) == ("catalog.read", "GET", "/api/rugs/7/?a=b")
    assert (one.answer.home, one.answer.status, one.answer.body) == ("monolith", 200, b'{"id":7}')
    assert one.headers["cookie"] == "theme=dark; sessionid=buyer1"
    assert list(directory.take(10)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_file_waits_until_it_is_whole(tmp_path: Path) -> None:
    whole = json.dumps(trace("/api/rugs/7/", 200, b"{}"))
    path = leave(tmp_path, "catalog.read_1.json", whole[:100])
    directory = CaptureDirectory(tmp_path)
    assert list(directory.take(10)) == []
    path.write_text(whole)
    assert len(list(directory.take(10))) == 1
    assert directory.take_swept() == {}


def test_a_file_that_stays_unreadable_is_dropped_and_counted(tmp_path: Path) -> None:
    leave(tmp_path, "catalog.read_1.json", '{"http_buff', age=6)
    leave(tmp_path, "catalog.read_2.json", "[]", age=6)
    directory = CaptureDirectory(tmp_path)
    assert list(directory.take(10)) == []
    assert directory.take_swept() == {"catalog.read": 2}
    assert directory.take_swept() == {}
    assert list(tmp_path.iterdir()) == []


def test_what_waited_too_long_is_swept_and_counted(tmp_path: Path) -> None:
    leave(tmp_path, "catalog.read_1.json", trace("/api/rugs/1/", 200, b"{}"), age=61)
    leave(tmp_path, "catalog.read_2.json", trace("/api/rugs/2/", 200, b"{}"), age=1)
    directory = CaptureDirectory(tmp_path)
    assert [one.target for one in directory.take(10)] == ["/api/rugs/2/"]
    assert directory.take_swept() == {"catalog.read": 1}


def test_over_the_cap_the_oldest_go_first(tmp_path: Path) -> None:
    for number in range(5):
        leave(tmp_path, f"catalog.read_{number}.json", trace(f"/{number}", 200, b"{}"), age=10 - number)
    directory = CaptureDirectory(tmp_path, files=2)
    assert [one.target for one in directory.take(10)] == ["/3", "/4"]
    assert directory.take_swept() == {"catalog.read": 3}


def test_what_the_queue_has_no_room_for_is_dropped_and_counted(tmp_path: Path) -> None:
    for number in range(5):
        leave(tmp_path, f"catalog.read_{number}.json", trace(f"/{number}", 200, b"{}"), age=10 - number)
    directory = CaptureDirectory(tmp_path)
    assert [one.target for one in directory.take(2)] == ["/0", "/1"]
    assert directory.take_swept() == {"catalog.read": 3}


def test_a_directory_that_is_not_there_yet_is_an_empty_one(tmp_path: Path) -> None:
    assert list(CaptureDirectory(tmp_path / "nowhere", files=FILES).take(10)) == []


def test_compressed_bodies_are_read() -> None:
    body = b'{"id":7}' * 100
    squeezed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for encoding, content in (
        ("gzip", gzip.compress(body)),
        ("deflate", zlib.compress(body)),
        ("deflate", squeezed.compress(body) + squeezed.flush()),
        ("identity", body),
        ("", body),
    ):
        one = parse("catalog.read", json.dumps(trace("/", 200, content, encoding=encoding)).encode(), 0)
        assert (one.answer.body, one.undecoded) == (body, False)


def test_a_body_that_cannot_be_decoded_is_marked() -> None:
    for encoding, content in (("br", b"xyz"), ("gzip", b"no gzip"), ("gzip", gzip.compress(b"{}")[:-4])):
        assert parse("c", json.dumps(trace("/", 200, content, encoding=encoding)).encode(), 0).undecoded


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(Undecodable):
        decode(gzip.compress(bytes(20 << 20)), "gzip")


def test_a_truncated_body_is_marked() -> None:
    assert parse("c", json.dumps(trace("/", 200, b'{"i', truncated=True)).encode(), 0).truncated


def test_a_captured_request_shows_no_credentials_when_it_is_printed() -> None:
    one = parse("c", json.dumps(trace("/", 200, b"{}", user="buyer1")).encode(), 0)
    assert "buyer1" not in repr(one)
