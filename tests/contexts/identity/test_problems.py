"""What is refused below /api/ is a problem after RFC 9457, whoever refuses it."""

import pytest
from django.test import RequestFactory

from strangler.chassis import problems


def test_an_address_that_nobody_has_is_a_problem(client):
    response = client.get("/api/hats/")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Nothing answers at /api/hats/ here.",
        "code": "not_found",
    }


def test_a_page_that_nobody_has_is_a_page(client, db):
    response = client.get("/hats/")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_what_was_wrong_with_each_field_is_listed(client, db):
    response = client.post("/api/identity/login/", {}, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["code"] == "invalid"
    assert [error["attr"] for error in response.json()["errors"]] == ["username", "password"]


@pytest.mark.parametrize(
    ("path", "media_type"), [("/api/x/", "application/problem+json"), ("/x/", "text/html")]
)
def test_a_failure_is_a_problem_below_the_api(path, media_type):
    response = problems.server_error(RequestFactory().get(path))
    assert response.status_code == 500
    assert response["Content-Type"].startswith(media_type)
