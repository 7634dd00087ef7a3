"""Who asks the monolith's API: a token or Django's session, and the same caller for both."""

from __future__ import annotations

from typing import Any

from django.utils.functional import SimpleLazyObject
from joserfc.jwk import KeySet
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from strangler.chassis.identity import Caller, TokenAuthentication

from . import services
from .models import User


class OwnTokenAuthentication(TokenAuthentication):
    """The monolith's own tokens; the user is only loaded by whoever asks for more than the caller."""

    def keys(self, wanted: str | None) -> KeySet:
        return services.public_keys()

    def user_of(self, caller: Caller) -> Any:
        return SimpleLazyObject(lambda: User.objects.get(pk=caller.subject, is_active=True))


class SessionCallerAuthentication(SessionAuthentication):
    """Django's session, with the same caller in request.auth that a token would name."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        found = super().authenticate(request)
        return found and (found[0], services.caller_for(found[0]))
