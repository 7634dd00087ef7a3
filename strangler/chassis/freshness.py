"""Reading one's own writes: what a write's answer tells its client, and what a home says that lacks it.

write   a view's transactions -> which of them changed followed rows (the database tells) -> a signed position
read    the position, by cookie or header -> is it in this home's rows? -> the view, or `behind`, or a wait

A position is the number of a transaction, and in which epoch of which capability's rows it was, by the home
that others follow. The client gets it as a cookie and, where it keeps none, as a header to send back. The
gateway hands it on as that header, and asks the owner whatever a home is behind with, so the client sees one
answer, and its own write in it. A page that asks another home on its user's behalf hands it on both ways.

Both classes are middleware of every home, behind those for health and the fence: whoever owns rows today may
follow tomorrow. Settings: FRESHNESS_KEY, a secret that all homes share; FIRST_OWNER (chassis.ownership).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.db import ProgrammingError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from strangler.chassis.jose import claims_of
from strangler.chassis.ownership import Beliefs, Unit, is_first_owner
from strangler.chassis.problems import MEDIA_TYPE, problem
from strangler.chassis.writing import SAFE_METHODS, changes_rows

COOKIE, HEADER = "strangler-written", "x-written"
BEHIND = "x-strangler-behind"  # the gateway asks the owner instead, and takes it away from what clients say
ALGORITHM = "HS256"
AUDIENCE = "position"
LEEWAY = 5  # seconds that two machines' clocks may differ by
LIFETIME = 300  # seconds that a client's reads are held to its write; a follower is hardly ever later
CAPTURE_ASKED = 5.0  # seconds between two questions whether changes are captured here
WAIT, LOOK = 1.0, 0.02  # seconds that a first owner waits for its follower, and between two looks

Answer = Callable[[HttpRequest], HttpResponse]
Held = TypeVar("Held")


@dataclass(frozen=True)
class Position:
    """A transaction; `xid` as PostgreSQL writes an xid8.

    `unit` is the capability whose rows it changed, "" where ownership doesn't move, then in `epoch`;
    `follower` the home that followed the one which wrote.
    """

    xid: str
    unit: str = ""
    epoch: int = 0
    follower: str = ""


def sign(position: Position, key: OctKey, *, lifetime: int = LIFETIME) -> str:
    """The position as a client may carry it, for `lifetime` seconds.

    Signed, since whoever could name any transaction would be answered by the owner for ever.
    """
    claims = {"aud": AUDIENCE, "exp": int(time.time()) + lifetime} | vars(position)
    return jwt.encode({"alg": ALGORITHM}, claims, key)


def read(text: str, key: OctKey) -> Position | None:
    """The position that a client carries; None for one that is forged, expired or broken."""
    try:
        claims = claims_of(text, key, ALGORITHM)
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY, aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
        ).validate(claims)
    except (JoseError, ValueError):
        return None
    xid, unit, epoch, follower = (claims.get(name) for name in ("xid", "unit", "epoch", "follower"))
    if not (isinstance(xid, str) and isinstance(unit, str) and isinstance(follower, str)):
        return None
    if type(epoch) is not int or not re.fullmatch(r"[0-9]{1,20}", xid):
        return None
    return Position(xid, unit, epoch, follower)


def signing_key() -> OctKey:
    """The secret of this process's settings."""
    return OctKey.import_key(settings.FRESHNESS_KEY)


# ── Where a request asks other homes ─────────────────────────────────────────────────────────────

_carried: ContextVar[str] = ContextVar("carried", default="")  # by the request in hand, signed
_elsewhere: ContextVar[list[str] | None] = ContextVar("elsewhere", default=None)  # for it, signed


def carried() -> str:
    """The position that a question on behalf of the request in hand carries along; "" for none."""
    return (_elsewhere.get() or [_carried.get()])[-1]


def note_written(signed: str | None) -> None:
    """Another home has written for the request in hand, and answered with this position, if any.

    What isn't signed by a home is passed over.
    """
    elsewhere = _elsewhere.get()
    if signed and elsewhere is not None and read(signed, signing_key()):
        elsewhere.append(signed)


@contextmanager
def _as(variable: ContextVar[Held], value: Held) -> Iterator[Held]:
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


# ── Where rows are written ───────────────────────────────────────────────────────────────────────


class WrittenMiddleware:
    """Gives whoever wrote rows that others follow, here or at another home, the position of the write."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._capture = _Capture()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        written = _Written(self._capture)
        with connection.execute_wrapper(written), _as(_elsewhere, []) as elsewhere:
            response = self._get_response(request)
        signed = elsewhere[-1] if elsewhere else ""
        if written.xids and (position := self._capture.latest(written.xids)):
            signed = sign(position, signing_key())
        if signed:
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

    A statement that changes rows is followed by the question for the transaction's number, once in each;
    reads cost nothing. What a SELECT of a function writes isn't seen, and neither is a cursor's `copy`.
    """

    def __init__(self, capture: _Capture) -> None:
        self.xids: list[str] = []
        self._capture = capture

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not changes_rows(sql) or not self._capture.is_on():
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


class _Capture:
    """Whether changes of this database are captured, and which transactions made some."""

    def __init__(self) -> None:
        self._on = self._has_owners = False
        self._asked = float("-inf")

    def is_on(self) -> bool:
        """Asked of the database now and then: nothing is followed in most databases, at most times."""
        now = time.monotonic()
        if now - self._asked >= CAPTURE_ASKED:
            self._asked = now
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT to_regclass('strangler_capture.change') IS NOT NULL, "
                    "to_regclass('strangler_ownership.unit') IS NOT NULL"
                )
                self._on, self._has_owners = cursor.fetchone()
        return self._on

    def latest(self, xids: list[str]) -> Position | None:
        """The last of these transactions that changed followed rows; None where none did.

        What every follower has applied may be forgotten here already, and needs no position.
        """
        try:
            with connection.cursor() as cursor:
                cursor.execute(_LATEST_OWNED if self._has_owners else _LATEST, ["{" + ",".join(xids) + "}"])
                found = cursor.fetchone()
        except ProgrammingError:  # capture was taken away just now
            return None
        return Position(*found) if found else None


_LATEST = """
SELECT tx::text FROM strangler_capture.change WHERE tx = ANY(%s::xid8[]) ORDER BY tx DESC LIMIT 1
"""
_LATEST_OWNED = """
SELECT tx::text, coalesce(u.name, ''), coalesce(u.epoch, 0), coalesce(u.other, '')
FROM strangler_capture.change AS c LEFT JOIN strangler_ownership.unit AS u ON c.table_name = ANY(u.tables)
WHERE tx = ANY(%s::xid8[]) ORDER BY tx DESC, u.name LIMIT 1
"""


# ── Where rows are read ──────────────────────────────────────────────────────────────────────────


class BehindMiddleware:
    """Answers `behind`, before anything is done, whoever wrote something that isn't here yet.

    The first owner is where the gateway sends whatever has no other home: it waits a moment for its follower
    instead, and then answers with what it has.
    """

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._beliefs = Beliefs()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        signed = request.headers.get(HEADER) or request.COOKIES.get(COOKIE) or ""
        position = read(signed, signing_key()) if signed else None
        if position and request.method in SAFE_METHODS and not self._has(position):
            if not is_first_owner():
                return _behind()
            deadline = time.monotonic() + WAIT
            while not self._has(position) and time.monotonic() < deadline:
                time.sleep(LOOK)
        with _as(_carried, signed if position else ""):
            return self._get_response(request)

    def _has(self, position: Position) -> bool:
        held = is_held(position, self._beliefs.units(), is_first_owner())
        return _is_applied(position) if held is None else held


def is_held(position: Position, units: Mapping[str, Unit], first_owner: bool) -> bool | None:
    """Whether this home's rows include a write, by who owns them; None: its watermark has to tell.

    `units` is what this home believes. What an earlier owner wrote was applied to the end before it handed
    over, so an owner has it all.
    """
    unit = units.get(position.unit)
    if unit is None:
        if first_owner or not units:
            return first_owner or None
        # Of other rows than those that this home has; or written before anybody said who owns them.
        follows = any(not one.is_owned for one in units.values())
        return None if not position.unit and follows else True
    if position.follower == unit.other:
        return True  # it was written here
    if position.epoch > unit.epoch:
        return False  # by a later owner than this home knows of
    match unit.state:
        case "owner":
            return True
        case "fenced":
            return position.epoch < unit.epoch  # or the other home owns by now, and has written already
    return None


def _is_applied(position: Position) -> bool:
    """Whether this home's watermark includes a write; not known means no."""
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
