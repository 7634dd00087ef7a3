"""GET /api/catalog/products/<pk>/"""

import pytest

from tests.contexts.catalog.rows import a_person, a_product


def url(product):
    return f"/api/catalog/products/{product.pk}/"


def test_a_product_shows_its_description_weight_and_attributes(bearer):
    product = a_product(description="Ties the room together.", attributes={"fits": ["Otter 1971"]})
    shown = bearer("anonymous").get(url(product)).json()
    assert shown["description"] == "Ties the room together."
    assert shown["weight"] == "0.500"
    assert shown["attributes"] == {"fits": ["Otter 1971"]}
    assert shown["seller"]["slug"] == "rugs-and-rotors"


@pytest.mark.parametrize("status", ["draft", "retired"])
@pytest.mark.parametrize(
    ("role", "answer"),
    [
        ("anonymous", 404),
        ("buyer", 404),
        ("other_staff", 404),
        ("staff", 200),
        ("support", 200),
        ("admin", 200),
    ],
)
def test_only_its_staff_support_and_admins_are_shown_a_product_that_is_not_active(
    bearer, status, role, answer
):
    assert bearer(role).get(url(a_product(status=status))).status_code == answer


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("anonymous", False),
        ("buyer", False),
        ("other_staff", False),
        ("staff", True),
        ("support", True),
        ("admin", True),
    ],
)
def test_only_its_staff_support_and_admins_are_shown_who_entered_a_product(bearer, role, shown):
    author = a_person("author")
    product = a_product(created_by_id=author)
    answer = bearer(role).get(url(product)).json()
    assert ("created_by" in answer) is shown
    assert answer.get("created_by", author) == author


def test_a_product_that_does_not_exist_is_not_found(bearer):
    assert bearer("anonymous").get("/api/catalog/products/4711/").status_code == 404


def test_one_product_is_one_query(bearer, django_assert_num_queries):
    product = a_product()
    client = bearer("anonymous")
    with django_assert_num_queries(1):
        client.get(url(product))
