"""Authorization: Bearer, in either home"""

import json
import os
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from rest_framework.test import APIClient

from tests.contexts.catalog.rows import a_person

URL = "/api/catalog/products/"


@pytest.fixture
def key():
    return ECKey.import_key(json.loads(Path(os.environ["IDENTITY_KEY_FILE"]).read_text()))


def token(key, alg="ES256", **claims):
    good = {
        "iss": "marketplace",
        "aud": "marketplace",
        "sub": "7",
        "role": "admin",
        "sellers": [],
        "exp": int(time.time()) + 60,
    }
    claims = {name: value for name, value in (good | claims).items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid}, claims, key)


def ask_with(value):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=value)
    return client.get(URL)


def test_a_good_token_is_taken(db, key):
    assert ask_with(f"Bearer {token(key, sub=str(a_person('ada', 'admin')))}").status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"aud": "somebody"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"sub": 7},
        {"role": ["admin"]},
        {"sellers": ["1"]},
        {"sellers": [True]},
    ],
)
def test_a_token_that_says_something_else_is_refused(db, key, claims):
    response = ask_with(f"Bearer {token(key, **claims)}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "authentication_failed"


def test_a_token_of_another_key_is_refused(db, key):
    stranger = ECKey.import_key(ECKey.generate_key("P-256").as_dict(private=True) | {"kid": key.kid})
    assert ask_with(f"Bearer {token(stranger)}").status_code == 401


@pytest.mark.parametrize("value", ["Bearer", "Bearer a b", "Bearer x", "Bearer a.b.c", "Bearer é"])
def test_what_is_no_token_is_refused(db, value):
    assert ask_with(value.encode().decode("latin-1")).status_code == 401


def test_an_unsigned_token_is_refused(db, key):
    head, body, _ = token(key).split(".")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"  # {"alg":"none","typ":"JWT"}
    for value in (f"{unsigned}.{body}.", f"{head}.{body}.", f"{head}.{body}.AAAA"):
        assert ask_with(f"Bearer {value}").status_code == 401


@pytest.mark.parametrize("header", [[], "alg", 7, {"alg": "ES256", "crit": 1}, {"alg": "ES256", "kid": []}])
def test_a_forged_header_is_refused_like_any_other_bad_token(db, key, header):
    _, body, signature = token(key).split(".")
    head = urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    assert ask_with(f"Bearer {head}.{body}.{signature}").status_code == 401


def test_another_scheme_is_nobody(db):
    assert ask_with("Basic YWRtaW46ZGVtbw==").status_code == 200
