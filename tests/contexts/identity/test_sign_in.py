"""POST /api/identity/login/ and /api/identity/logout/, GET /api/identity/me/"""

import pytest
from rest_framework.test import APIClient

from tests.contexts.factories import a_seller, a_user


@pytest.fixture
def ada(db):
    user = a_user("ada", "seller_staff", first_name="Ada", last_name="Abel")
    user.set_password("demo")
    user.save()
    a_seller(staff=(user,))
    return user


def test_somebody_who_signs_in_is_told_who_they_are(ada):
    client = APIClient()
    answer = client.post("/api/identity/login/", {"username": "ada", "password": "demo"})
    assert answer.status_code == 200
    assert answer.json() == client.get("/api/identity/me/").json()
    assert answer.json()["display_name"] == "Ada Abel"
    assert [seller["slug"] for seller in answer.json()["works_for"]] == ["rugs-and-rotors"]


def test_a_wrong_password_opens_no_session(ada):
    client = APIClient()
    assert client.post("/api/identity/login/", {"username": "ada", "password": "guess"}).status_code == 401
    assert client.get("/api/identity/me/").status_code == 401


def test_nobody_is_left_after_signing_out(ada):
    client = APIClient()
    client.post("/api/identity/login/", {"username": "ada", "password": "demo"})
    assert client.post("/api/identity/logout/").status_code == 204
    assert client.get("/api/identity/me/").status_code == 401


def test_a_superuser_is_an_admin(db):
    from monolith.identity.models import User

    assert User.objects.create_superuser("root", password="demo").role == "admin"
