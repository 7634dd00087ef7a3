"""Where the gateway's captured requests come in: one file per request, read once and deleted.

Envoy's tap writes `<capability>_<number>.json` (an HttpBufferedTrace with bodies in base64). The directory
lies in memory, so what nobody read in time is swept away, and counted: lost samples must hold a gate.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from strangler.compare.observation import Answer

HOME_HEADER = "x-strangler-home"
UNFINISHED_SECONDS = 5.0  # a file that can't be read for longer than this never will be
UNREAD_SECONDS = 60.0  # the janitor's: older than this, an answer is too old to be compared with a fresh one
FILES = 5_000  # the directory's cap
BODY_BYTES = 16 << 20  # a decoded body larger than this isn't looked at


@dataclass(frozen=True, slots=True)
class Captured:
    """One request as the gateway saw it, and what the home `answer.home` answered; "" if neither did.

    `headers` are the request's, names in lower case, credentials among them: this value is never stored.
    `truncated` and `undecoded` say that the body isn't the whole one, or not a readable one.
    """

    capability: str
    method: str
    target: str
    headers: Mapping[str, str]
    answer: Answer
    at: float
    truncated: bool = False
    undecoded: bool = False

    def __repr__(self) -> str:
        return f"<Captured {self.capability} {self.method} {self.answer.status}>"  # no credentials in a log


class Undecodable(ValueError):
    """The body's content encoding isn't known, or the bytes aren't in it."""


def parse(capability: str, content: bytes, at: float) -> Captured:
    """A tap file's content; ValueError if it is half written or something else."""
    try:
        trace = orjson.loads(content)["http_buffered_trace"]
        request, response = trace["request"], trace.get("response") or {}
        asked, answered = _headers(request), _headers(response)
        method, target = asked[":method"], asked[":path"]
        raw, truncated = _body(response)
        status = int(answered.get(":status", 0))
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ValueError(f"no HttpBufferedTrace: {error!r}") from None
    undecoded = False
    if not truncated:
        try:
            raw = decode(raw, answered.get("content-encoding", ""))
        except Undecodable:
            undecoded = True
    answer = Answer(answered.get(HOME_HEADER, ""), status, answered.get("content-type", ""), raw)
    return Captured(capability, method, target, asked, answer, at, truncated, undecoded)


def _headers(message: Mapping[str, Any]) -> dict[str, str]:
    # protobuf's JSON leaves empty values out
    return {one["key"].lower(): one.get("value", "") for one in message.get("headers", [])}


def _body(message: Mapping[str, Any]) -> tuple[bytes, bool]:
    body = message.get("body") or {}
    return base64.b64decode(body.get("as_bytes", ""), validate=True), bool(body.get("truncated"))


def decode(body: bytes, encoding: str) -> bytes:
    """A body without its content encoding (gzip, deflate or none); Undecodable for every other one."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Undecodable(encoding)
    try:
        if encoding == "deflate":
            decoder = zlib.decompressobj(zlib.MAX_WBITS if body[0] & 0x0F == 8 else -zlib.MAX_WBITS)
        else:
            decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        plain = decoder.decompress(body, BODY_BYTES)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise Undecodable(str(error)) from None
    if not decoder.eof:
        raise Undecodable("cut off, or too large")
    return plain


@dataclass
class Swept:
    """Files that were deleted without being read since the last look, per capability."""

    dropped: dict[str, int] = field(default_factory=dict)

    def count(self, capability: str) -> None:
        self.dropped[capability] = self.dropped.get(capability, 0) + 1


class CaptureDirectory:
    """The directory that the gateway writes to. One process reads it; whoever deletes a file owns it."""

    def __init__(self, path: Path, *, files: int = FILES) -> None:
        self.path, self.files = path, files
        self.swept = Swept()

    def waiting(self) -> list[os.DirEntry[str]]:
        """The files there, the longest waiting first. A directory that isn't there yet is an empty one."""
        try:
            with os.scandir(self.path) as entries:
                found = [(entry.stat().st_mtime, entry) for entry in entries if entry.name.endswith(".json")]
        except FileNotFoundError:  # of the directory, or of a file that another sweep took
            return []
        return [entry for _, entry in sorted(found, key=lambda one: one[0])]

    def take(self, limit: int) -> Iterator[Captured]:
        """Read and delete what is complete, up to `limit`; the rest over it is deleted unread and counted.

        A file that is still being written stays for the next call; one that stays unreadable is counted.
        """
        now = time.time()
        waiting = self.waiting()
        for entry in waiting[: max(0, len(waiting) - self.files)]:
            self._drop(entry)
        for entry in waiting[max(0, len(waiting) - self.files) :]:
            with contextlib.suppress(FileNotFoundError):
                age = now - entry.stat().st_mtime
                if age > UNREAD_SECONDS or limit <= 0:
                    self._drop(entry)
                    continue
                content = Path(entry.path).read_bytes()
                try:
                    captured = parse(_capability(entry), content, now - max(0.0, age))
                except ValueError:
                    if age > UNFINISHED_SECONDS:
                        self._drop(entry)
                    continue
                os.unlink(entry.path)
                limit -= 1
                yield captured

    def _drop(self, entry: os.DirEntry[str]) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry.path)
            self.swept.count(_capability(entry))

    def take_swept(self) -> dict[str, int]:
        """How many files were deleted unread since the last call, per capability."""
        swept, self.swept = self.swept.dropped, Swept()
        return swept


def _capability(entry: os.DirEntry[str]) -> str:
    return entry.name.rpartition("_")[0]
