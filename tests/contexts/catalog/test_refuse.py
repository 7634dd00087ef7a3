"""What either home refuses, it refuses in the same words."""

import pytest

from tests.contexts.catalog.rows import a_product


@pytest.mark.parametrize(
    "url", ["/api/catalog/products/4711/", "/api/catalog/categories/hats/", "/api/catalog/sellers/4711/"]
)
def test_what_is_not_there_is_a_problem(bearer, url):
    response = bearer("anonymous").get(url)
    assert response["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not found.",
        "code": "not_found",
    }


def test_an_ordering_that_nobody_knows_is_a_problem_of_its_field(bearer):
    assert bearer("anonymous").get("/api/catalog/products/?ordering=hats").json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "What was sent can't be used as it is.",
        "code": "invalid",
        "errors": [
            {
                "code": "invalid",
                "detail": "Products are ordered by price, -price, name.",
                "attr": "ordering",
            }
        ],
    }


@pytest.mark.parametrize("page", ["0", "2", "x", "-1"])
def test_a_page_that_is_not_there_is_a_problem(bearer, page):
    response = bearer("anonymous").get("/api/catalog/products/", {"page": page})
    assert response.status_code == 404
    assert response.json()["detail"].startswith("Invalid page")


def test_an_address_that_the_context_does_not_have_is_a_problem(client, db):
    response = client.get("/api/catalog/hats/")
    assert response.status_code == 404
    assert response.json()["detail"] == "Nothing answers at /api/catalog/hats/ here."


def test_a_method_that_an_address_does_not_have_is_a_problem(bearer):
    response = bearer("admin").put(f"/api/catalog/products/{a_product().pk}/", {})
    assert response.status_code == 405
    assert response.json()["detail"] == 'Method "PUT" not allowed.'


def test_head_is_a_get_without_a_body(bearer):
    response = bearer("anonymous").head(f"/api/catalog/products/{a_product().pk}/")
    assert response.status_code == 200
    assert response.content == b""


def test_a_character_that_the_database_can_not_hold_is_a_problem(bearer):
    assert bearer("anonymous").get("/api/catalog/products/?q=%00").status_code == 400
