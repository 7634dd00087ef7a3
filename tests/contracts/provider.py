"""A home as it is served for verification: its own application, and two addresses that no deployed home has.

    granian --interface wsgi tests.contracts.provider:application      with the home's DJANGO_SETTINGS_MODULE

POST /_contracts/states     {"state", "params", "action"}: brings a provider state about, or forgets it
POST /_contracts/messages   {"description"}: says a message, as the publisher's own event classes have it

It lies among the tests, which no image has in it, and it refuses every database but one that was made for it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import ECKey, KeySet

STATES, MESSAGES = "/_contracts/states", "/_contracts/messages"
MADE_FOR_IT = "contracts_"  # how the name of a database begins that may be emptied


@cache
def signing_key() -> ECKey:
    """The key whose tokens this home believes."""
    return ECKey.import_key(json.loads(Path(os.environ["IDENTITY_KEY_FILE"]).read_text()))


def _make_keys() -> None:
    """A key of this process's own, where each home looks for one; TMPDIR goes with the verification."""
    directory = Path(tempfile.mkdtemp(prefix="contracts-keys-"))
    key = ECKey.generate_key("P-256", auto_kid=True)
    private, public = directory / "identity.jwk", directory / "jwks.json"
    private.write_text(json.dumps(key.as_dict(private=True)))
    private.chmod(0o600)
    public.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    os.environ["IDENTITY_KEY_FILE"], os.environ["IDENTITY_JWKS_URL"] = str(private), public.as_uri()


def _check_database(url: str) -> None:
    name = urlsplit(url).path.lstrip("/")
    if not name.startswith(MADE_FOR_IT):
        sys.exit(
            f"Provider states empty tables, and {name!r} isn't a database that was made for them "
            f"({MADE_FOR_IT}…). Nothing was changed. `strangler contracts verify` makes one."
        )


class Verified:
    """The home's application, with the two addresses in front of it."""

    def __init__(self, home: Any) -> None:
        self._home = home

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answers = {STATES: _bring_about, MESSAGES: _say}
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in answers:
            return self._home(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        asked = json.loads(environ["wsgi.input"].read(length) or b"{}")
        try:
            headers, answer = answers[environ["PATH_INFO"]](asked)
            status = "200 OK"
        except Exception as error:  # 422: a 5xx would be asked again and again for two minutes
            headers, answer = {}, {"detail": f"{type(error).__name__}: {error}"}
            status = "422 Unprocessable Entity"
        body = json.dumps(answer).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))} | headers
        start_response(status, list(headers.items()))
        return [body]


def _bring_about(asked: dict[str, Any]) -> tuple[dict[str, str], Any]:
    from django.db import transaction

    from tests.contracts.states import STATES as KNOWN
    from tests.contracts.states import forget_everything

    with transaction.atomic():
        if asked.get("action") == "teardown":
            forget_everything()
            return {}, {}
        sentence = asked["state"]
        if sentence not in KNOWN:
            raise LookupError(f"no home knows the state {sentence!r}; tests/contracts/states.py lists them")
        return {}, KNOWN[sentence](**asked.get("params", {})) or {}


def _say(asked: dict[str, Any]) -> tuple[dict[str, str], Any]:
    from tests.contracts.messages import message

    body, metadata = message(asked["description"])
    return {"pact-message-metadata": base64.b64encode(json.dumps(metadata).encode()).decode()}, body


def _application() -> Verified:
    _check_database(os.environ["DATABASE_URL"])
    _make_keys()
    from django.conf import settings

    module, _, name = settings.WSGI_APPLICATION.rpartition(".")
    application = Verified(getattr(import_module(module), name))
    from tests.contracts.states import forget_everything

    forget_everything()
    return application


if not os.environ.get("PYTEST_VERSION"):  # a suite that looks at this module serves nothing
    application = _application()
