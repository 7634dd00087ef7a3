"""Who is asking: a short-lived token in the request, checked in every home, and the caller that it names.

The monolith signs tokens (`sign`) for its sessions; the gateway sends them upstream; each home turns them
into a `Caller` with `TokenAuthentication`. What a service knows of its callers is what the token says.

Settings: IDENTITY_JWKS_URL, where the public keys are (http, https or file); IDENTITY_ISSUER and
IDENTITY_AUDIENCE, what a token must say about itself, the same in every home.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from strangler.chassis.jose import claims_of, header_of
from strangler.chassis.required import required

ALGORITHM = "ES256"
LEEWAY = 5  # seconds that two machines' clocks may differ by
KEYS_KEPT = 300.0  # seconds until the public keys are asked for again
KEYS_ASKED = 5.0  # seconds at least between two questions for them


@dataclass(frozen=True)
class Caller:
    """Who asks: `subject` is the user's id as text, and empty for somebody who hasn't signed in.

    `role` is a word of the application's; `sellers` are the ids of the sellers that the caller works for.
    `name` is the one under which the caller writes in public. `token` is what the request came with, "" where
    that was a session: to ask other homes in the caller's name.
    """

    subject: str = ""
    role: str = ""
    sellers: tuple[int, ...] = ()
    name: str = field(default="", compare=False)
    token: str = field(default="", compare=False, repr=False)

    @property
    def is_authenticated(self) -> bool:
        return bool(self.subject)


ANONYMOUS = Caller()


class KeysUnavailable(APIException):
    """The public keys couldn't be had, so nobody can say whether the token is good; nothing was done."""

    status_code = 503
    default_code = "keys_unavailable"
    default_detail = "The keys that tokens are checked with can't be had at the moment; try again shortly."
    wait = 2


def caller_of(request: Request) -> Caller:
    """The caller that the authentication found, whichever class it was."""
    return request.auth if isinstance(request.auth, Caller) else ANONYMOUS


def sign(caller: Caller, key: ECKey, *, lifetime: int) -> str:
    """A token for the caller that is good for `lifetime` seconds."""
    now = int(time.time())
    claims = {
        "iss": required("IDENTITY_ISSUER"),
        "aud": required("IDENTITY_AUDIENCE"),
        "sub": caller.subject,
        "role": caller.role,
        "sellers": list(caller.sellers),
        "name": caller.name,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key)


def verify(token: str, keys: KeySet) -> Caller:
    """The caller that a token names. Raises JoseError, or ValueError for claims of the wrong shape."""
    claims = claims_of(token, keys, ALGORITHM)
    jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": required("IDENTITY_ISSUER")},
        aud={"essential": True, "value": required("IDENTITY_AUDIENCE")},
        sub={"essential": True},
        exp={"essential": True},
    ).validate(claims)
    subject, role, sellers = claims["sub"], claims.get("role", ""), claims.get("sellers", [])
    name = claims.get("name", "")
    if not (all(isinstance(word, str) for word in (subject, role, name)) and _are_ids(sellers)):
        raise ValueError("The token's sub, role, name or sellers have a shape that nobody knows.")
    return Caller(subject, role, tuple(sellers), name)


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value)


class PublicKeys:
    """The issuer's public keys, asked for when the first token comes, and kept when the issuer is away.

    A start never asks: a service starts, and answers whoever hasn't signed in, while the issuer is down.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: KeySet | None = None
        self._fresh_until = 0.0
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def current(self, wanted: str | None = None) -> KeySet:
        """The keys; asked for once more when `wanted`, a token's key id, isn't among them.

        Raises KeysUnavailable when there are none, and none can be had.
        """
        with self._lock:
            now = time.monotonic()
            known = self._keys is not None and (wanted is None or wanted in {key.kid for key in self._keys})
            if (not known or now > self._fresh_until) and now - self._asked >= KEYS_ASKED:
                self._asked = now
                self._ask(now)
            if self._keys is None:
                raise KeysUnavailable
            return self._keys

    def _ask(self, now: float) -> None:
        try:
            self._keys = KeySet.import_key_set(_fetch(self._url))
            self._fresh_until = now + KEYS_KEPT
        except (OSError, ValueError, httpx.HTTPError, JoseError):
            # The issuer is away: the keys that are there stay good. Without any, the next token asks again.
            if self._keys is None:
                self._asked = float("-inf")


def _fetch(url: str) -> Any:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        return json.loads(Path(urllib.parse.unquote(parts.path)).read_text())
    return httpx.get(url, timeout=2.0).raise_for_status().json()


_sources: dict[str, PublicKeys] = {}


def keys_of(wanted: str | None) -> KeySet:
    """The issuer's public keys, as `PublicKeys.current` gives them."""
    url: str = settings.IDENTITY_JWKS_URL
    return _sources.setdefault(url, PublicKeys(url)).current(wanted)


class TokenAuthentication(BaseAuthentication):
    """Takes `Authorization: Bearer <token>`; request.auth is the Caller, and request.user too."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Authorization reads 'Bearer <token>'.")
        try:
            token = words[1].decode("ascii")
            caller = replace(verify(token, self.keys(key_id(token))), token=token)
        except (JoseError, ValueError):
            raise AuthenticationFailed(
                "The token isn't good, or not any more; ask for another one."
            ) from None
        return self.user_of(caller), caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'

    def keys(self, wanted: str | None) -> KeySet:
        """The keys that may have signed a token."""
        return keys_of(wanted)

    def user_of(self, caller: Caller) -> Any:
        """What request.user is to be; a home that has users of its own says so here."""
        return caller


def key_id(token: str) -> str | None:
    """The id of the key that a token says it is signed with. Raises JoseError, or ValueError."""
    kid = header_of(token).get("kid")
    return kid if isinstance(kid, str) else None
