"""/api/identity/token/ and /api/identity/jwks.json: a session is exchanged for a token at the gateway."""

import io
import stat
import time

import pytest
from django.conf import settings
from django.core.management import call_command
from joserfc.jwk import KeySet
from joserfc.jwt import decode
from rest_framework.test import APIClient

from strangler.chassis.identity import Caller, sign, verify
from strangler.chassis.keyfile import read_or_make
from tests.contexts.factories import a_product, a_seller, a_user

URL = "/api/identity/token/"


@pytest.fixture
def published(client):
    """The public keys as a service fetches them."""
    return KeySet.import_key_set(client.get("/api/identity/jwks.json").json())


@pytest.mark.parametrize("method", ["get", "head", "post"])
@pytest.mark.parametrize("url", [URL, URL + "api/catalog/products/7/"])
def test_a_session_is_given_a_token_whatever_the_gateway_asks(db, published, method, url):
    user = a_user("staff", "seller_staff")
    seller = a_seller(staff=(user,))
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    response = getattr(client, method)(url)
    assert response.status_code == 200
    token = response["Authorization"].removeprefix("Bearer ")
    assert verify(token, published) == Caller(str(user.pk), "seller_staff", (seller.pk,))
    if method != "head":
        assert response.json() == {"token": token, "expires_in": 60}


def test_a_token_is_good_for_a_minute(db, published):
    client = APIClient()
    client.force_login(a_user())
    claims = decode(client.get(URL).json()["token"], published, algorithms=["ES256"]).claims
    assert claims["exp"] == pytest.approx(time.time() + 60, abs=3)
    assert (claims["iss"], claims["aud"]) == ("marketplace", "marketplace")


def test_somebody_who_has_not_signed_in_goes_on_without_a_token(db):
    response = APIClient().get(URL)
    assert response.status_code == 200
    assert "Authorization" not in response
    assert response.json() == {"token": None, "expires_in": 0}


def test_the_monolith_takes_its_own_tokens(db):
    from monolith.identity.services import issue_token

    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(a_user('ada'))}")
    assert client.get("/api/identity/me/").json()["username"] == "ada"


def test_a_token_outlives_no_lifetime(db):
    from monolith.identity.services import signing_key

    client = APIClient()
    stale = sign(Caller(str(a_user().pk), "buyer"), signing_key(), lifetime=-6)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {stale}")
    response = client.get("/api/identity/me/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response["Content-Type"] == "application/problem+json"


def test_a_key_that_is_published_is_no_private_key(client):
    assert all("d" not in key for key in client.get("/api/identity/jwks.json").json()["keys"])


def test_the_private_key_is_its_owners_alone(db, published):
    assert stat.S_IMODE(settings.IDENTITY_KEY_FILE.stat().st_mode) == 0o600


def test_two_processes_that_make_a_key_at_once_keep_one(tmp_path):
    path = tmp_path / "deep" / "key"

    def slow() -> str:
        read_or_make(path, lambda: "first")  # another process comes in between
        return "second"

    assert read_or_make(path, slow) == "first"
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_tokens_are_issued_for_subjects_on_stdin(db, published, monkeypatch, capsys):
    user = a_user()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{user.pk}\n\n999999\n"))
    call_command("issue_tokens")
    printed = capsys.readouterr()
    token, nobody, missing, end = printed.out.split("\n")
    assert verify(token, published) == Caller(str(user.pk), "buyer")
    assert (nobody, missing, end) == ("", "", "")
    assert "'999999'" in printed.err


@pytest.mark.parametrize("role", ["buyer", "seller_staff", "support", "admin"])
def test_a_session_and_its_token_are_the_same_caller(db, role):
    user = a_user("ada", role)
    seller = a_seller(staff=(user,) if role == "seller_staff" else ())
    for status in ("active", "draft", "retired"):
        a_product(status.upper(), status=status, seller=seller)
    session, bearer = APIClient(), APIClient()
    session.force_login(user)
    bearer.credentials(HTTP_AUTHORIZATION=session.get(URL)["Authorization"])
    for url in ("/api/catalog/products/", "/api/identity/me/", "/api/ordering/orders/"):
        assert session.get(url).content == bearer.get(url).content
    assert session.get("/api/catalog/products/").json()["count"] == (1 if role == "buyer" else 3)
