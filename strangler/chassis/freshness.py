"""Reading one's own writes: what a write's answer tells its client, and what a home says that lacks it.

write   a view's transactions -> which of them changed followed rows (the database tells) -> a signed position
read    the position, by cookie or header -> is it within this home's watermark? -> the view, or `behind`

A position is the owner's epoch and the number of a transaction. The client gets it as a cookie and, where it
keeps none, as a header to send back. The gateway hands it on as that header, and asks the owner whatever a
home is behind with, so the client sees one answer, and its own write in it.

Both classes are middleware, right after the one for health. Settings: the owner's FRESHNESS_SIGNING_KEY, the
dotted name of a function that returns the private key of IDENTITY_JWKS_URL's keys; IDENTITY_JWKS_URL.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import ProgrammingError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from strangler.chassis.identity import ALGORITHM, LEEWAY, KeysUnavailable, key_id, keys_of
from strangler.chassis.problems import MEDIA_TYPE, problem

COOKIE, HEADER = "strangler-written", "x-written"
BEHIND = "x-strangler-behind"  # the gateway asks the owner instead, and takes it away from what clients say
AUDIENCE = "position"  # so that no position is taken for somebody's token, nor the other way round
LIFETIME = 300  # seconds that a client's reads are held to its write; a follower is hardly ever later
EPOCH = 0  # of ownership, which doesn't move yet
CAPTURE_ASKED = 5.0  # seconds between two questions whether changes are captured here

Answer = Callable[[HttpRequest], HttpResponse]


@dataclass(frozen=True)
class Position:
    """A transaction of the owner in `epoch`; `xid` as PostgreSQL writes an xid8."""

    epoch: int
    xid: str


def sign(position: Position, key: ECKey, *, lifetime: int = LIFETIME) -> str:
    """The position as a client may carry it, for `lifetime` seconds.

    Signed, since whoever could name any transaction would be answered by the owner for ever.
    """
    claims = {
        "aud": AUDIENCE,
        "epoch": position.epoch,
        "xid": position.xid,
        "exp": int(time.time()) + lifetime,
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key)


def read(text: str, keys: Callable[[str | None], KeySet]) -> Position | None:
    """The position that a client carries; None for one that is forged, expired or broken.

    `keys` gives the public keys, told the wanted one's id. Keys that can't be had make it None too: the owner
    is away then, and an answer without the promise is better than none.
    """
    try:
        claims = jwt.decode(text, keys(key_id(text)), algorithms=[ALGORITHM]).claims
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY, aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
        ).validate(claims)
    except (JoseError, ValueError, KeysUnavailable):
        return None
    epoch, xid = claims.get("epoch"), claims.get("xid")
    if type(epoch) is not int or not isinstance(xid, str) or not re.fullmatch(r"[0-9]{1,20}", xid):
        return None
    return Position(epoch, xid)


# ── At the owner ─────────────────────────────────────────────────────────────────────────────────


class WrittenMiddleware:
    """Gives whoever wrote rows that others follow the position of the write."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._key: Callable[[], ECKey] = import_string(settings.FRESHNESS_SIGNING_KEY)
        self._capture = _Capture()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        written = _Written(self._capture)
        with connection.execute_wrapper(written):
            response = self._get_response(request)
        if written.xids and (xid := self._capture.latest(written.xids)):
            signed = sign(Position(EPOCH, xid), self._key())
            response.headers[HEADER] = signed
            response.set_cookie(
                COOKIE,
                signed,
                max_age=LIFETIME,
                httponly=True,
                samesite="Lax",
                secure=request.is_secure(),
            )
        return response


class _Written:
    """The numbers of a request's transactions that wrote and committed.

    A statement that may write is followed by the question for the transaction's number, once in each; reads
    cost nothing. What a SELECT of a function writes isn't seen, and neither is COPY.
    """

    def __init__(self, capture: _Capture) -> None:
        self.xids: list[str] = []
        self._capture = capture

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not _may_write(sql) or not self._capture.is_on():
            return execute(sql, params, many, context)
        # A statement of its own is a transaction of its own; this one lets us ask for its number.
        with transaction.atomic(savepoint=False) if not connection.in_atomic_block else nullcontext():
            result = execute(sql, params, many, context)
            self._note()
        return result

    def _note(self) -> None:
        # Whatever undoes the transaction, or the savepoint that it was noted in, takes the note away with it.
        if any(isinstance(entry[1], _Commit) for entry in connection.run_on_commit):
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id_if_assigned()::text")
            (xid,) = cursor.fetchone()
        if xid:
            transaction.on_commit(_Commit(self.xids, xid))


@dataclass(frozen=True)
class _Commit:
    """Notes a transaction once it has committed."""

    xids: list[str]
    xid: str

    def __call__(self) -> None:
        self.xids.append(self.xid)


def _may_write(sql: Any) -> bool:
    if not isinstance(sql, str):
        return True
    first = re.match(r"[\s(]*(\w*)", sql)
    word = first[1].upper() if first else ""
    if word == "WITH":
        return bool(re.search(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", sql, re.IGNORECASE))
    return word in ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE")


class _Capture:
    """Whether changes of this database are captured, and which transactions made some."""

    def __init__(self) -> None:
        self._on = False
        self._asked = float("-inf")

    def is_on(self) -> bool:
        """Asked of the database now and then: nothing is followed in most databases, at most times."""
        now = time.monotonic()
        if now - self._asked >= CAPTURE_ASKED:
            self._asked = now
            with connection.cursor() as cursor:
                cursor.execute("SELECT to_regclass('strangler_capture.change') IS NOT NULL")
                (self._on,) = cursor.fetchone()
        return self._on

    def latest(self, xids: list[str]) -> str | None:
        """The last of these transactions that changed followed rows; None where none did.

        What every follower has applied may be forgotten here already, and needs no position.
        """
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT tx::text FROM strangler_capture.change WHERE tx = ANY(%s::xid8[]) "
                    "ORDER BY tx DESC LIMIT 1",
                    ["{" + ",".join(xids) + "}"],
                )
                found = cursor.fetchone()
        except ProgrammingError:  # capture was taken away just now
            return None
        return found[0] if found else None


# ── At a follower ────────────────────────────────────────────────────────────────────────────────


class BehindMiddleware:
    """Answers `behind`, before anything is done, whoever wrote something that isn't here yet."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        carried = request.headers.get(HEADER) or request.COOKIES.get(COOKIE)
        if carried and (position := read(carried, keys_of)) and not _is_applied(position):
            return _behind()
        return self._get_response(request)


def _is_applied(position: Position) -> bool:
    """Whether this home's rows are those of the owner after that write; not known means no."""
    if position.epoch != EPOCH:
        return (
            position.epoch < EPOCH
        )  # what an earlier owner wrote was applied to the end before it handed over
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT pg_visible_in_snapshot(%s::xid8, snapshot) AND NOT EXISTS (
                       SELECT FROM strangler_movement.followed WHERE state <> 'following')
                   FROM strangler_movement.watermark""",
                [position.xid],
            )
            return bool(cursor.fetchone() == (True,))
    except ProgrammingError:  # nothing is followed here
        return False


def _behind() -> HttpResponse:
    # Not a 5xx: the gateway would take a home that follows a little later for a sick one.
    told = problem(421, "behind", "What you wrote isn't here yet. Nothing was done; try again shortly.")
    return JsonResponse(told, status=421, content_type=MEDIA_TYPE, headers={BEHIND: "1", "Retry-After": "1"})
