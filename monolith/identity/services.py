"""Writes of identity: the key that tokens are signed with, and the tokens."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from joserfc.jwk import ECKey, KeySet

from strangler.chassis import outbox
from strangler.chassis.identity import ANONYMOUS, Caller, sign
from strangler.chassis.keyfile import read_or_make

from . import events
from .models import Role, User

TOKEN_LIFETIME = 60  # seconds


@cache
def signing_key() -> ECKey:
    """The private key, made on first use; every process of the monolith has the same one."""

    def make() -> str:
        return json.dumps(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True))

    return ECKey.import_key(json.loads(read_or_make(settings.IDENTITY_KEY_FILE, make)))


def public_keys() -> KeySet:
    return KeySet([signing_key()])


def caller_for(user: Any) -> Caller:
    """The user as every home sees them; one query for sellers' staff, none for others."""
    if not user.is_authenticated:
        return ANONYMOUS
    sellers: tuple[int, ...] = ()
    if user.role == Role.SELLER_STAFF:
        sellers = tuple(user.employments.order_by("seller_id").values_list("seller_id", flat=True))
    return Caller(str(user.pk), user.role, sellers, user.display_name)


def issue_token(user: User, *, lifetime: int = TOKEN_LIFETIME) -> str:
    """A token that names the user; `lifetime` in seconds."""
    return token_for(caller_for(user), lifetime=lifetime)


def token_for(caller: Caller, *, lifetime: int = TOKEN_LIFETIME) -> str:
    """A token that names the caller, and none for somebody who hasn't signed in."""
    return sign(caller, signing_key(), lifetime=lifetime) if caller.is_authenticated else ""


@transaction.atomic
def close_account(*, user: User) -> None:
    """Delete a user, and announce it: what others keep about them goes when they hear of it.

    Raises ProtectedError for somebody who has ordered, paid or noted something down.
    """
    gone = events.UserDeleted(user.pk)
    user.delete()
    outbox.record(gone)
