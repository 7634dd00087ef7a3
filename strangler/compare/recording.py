"""Traffic to replay: redacted JSON lines, one per shape of request, the newest `compare.record` of them.

A line holds method, target, the caller's kind and subject, the answer's status and its body's hash. It never
holds a cookie, a token or any header: a replay gets tokens of its own for the recorded subjects.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from strangler.compare import redaction
from strangler.compare.errors import CouldNotCompare
from strangler.compare.observation import Caller, Request


@dataclass(frozen=True, slots=True)
class Recorded:
    """One line: a request, and what it was answered when it was recorded."""

    shape: str
    method: str
    target: str
    caller: Caller
    status: int
    hash: str

    def request(self, host: str) -> Request:
        return Request(self.method, self.target, host, self.caller)


def path_of(root: Path, capability: str) -> Path:
    """Where a capability's recording lies."""
    return root / ".strangler" / "recordings" / f"{capability}.jsonl"


def record_of(shape: str, request: Request, status: int, body: bytes) -> Recorded:
    """The redacted line for a request and its answer."""
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    return Recorded(shape, request.method, redaction.target(request.target), request.caller, status, digest)


def read(path: Path) -> list[Recorded]:
    """A recording, oldest first, one line per shape; a line that was cut off by a crash is left out.

    CouldNotCompare if there is none, or if nothing in it can be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise CouldNotCompare(
            f"There is no recording at {path}. Nothing was asked. Recordings are made while a capability is "
            "in shadow or beyond: start the system (`strangler run`) and send it traffic (`strangler load`)."
        ) from None
    except OSError as error:
        raise CouldNotCompare(
            f"The recording {path} can't be read: {error.strerror}. Nothing was asked."
        ) from None
    found = {one.shape: one for line in lines if (one := _parse(line))}
    if not found:
        raise CouldNotCompare(
            f"The recording {path} holds no request that can be read. Nothing was asked. "
            "Send the gateway traffic (`strangler load`) to make another."
        )
    return list(found.values())


def _parse(line: bytes) -> Recorded | None:
    with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
        one = orjson.loads(line)
        caller = Caller(one["caller"]["kind"], one["caller"]["subject"])
        return Recorded(one["shape"], one["method"], one["target"], caller, one["status"], one["hash"])
    return None


class Recording:
    """A recording that is being made: a ring of `size` requests, unique by shape.

    New shapes are appended; when the file has grown to twice the ring it is written anew in one move.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self._ring: dict[str, Recorded] = {}
        self._fresh: list[Recorded] = []
        with contextlib.suppress(CouldNotCompare):
            self._ring = {one.shape: one for one in read(path)[-size:]} if size else {}
        self._lines = len(self._ring)

    def add(self, one: Recorded) -> None:
        """Keep a request, unless one of its shape is kept already."""
        if not self.size or one.shape in self._ring:
            return
        if len(self._ring) >= self.size:
            del self._ring[next(iter(self._ring))]
        self._ring[one.shape] = one
        self._fresh.append(one)

    def flush(self) -> None:
        """Write what is new. The file is readable by its owner alone."""
        if not self._fresh:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lines += len(self._fresh)
        if self._lines > 2 * self.size:
            draft = self.path.with_suffix(".tmp")
            draft.unlink(missing_ok=True)
            _write(draft, self._ring.values(), os.O_CREAT | os.O_EXCL)
            draft.replace(self.path)
            self._lines = len(self._ring)
        else:
            _write(self.path, self._fresh, os.O_CREAT | os.O_APPEND)
        self._fresh = []


def _write(path: Path, lines: Iterable[Recorded], flags: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | flags, 0o600), "ab") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(b"".join(orjson.dumps(one) + b"\n" for one in lines))
