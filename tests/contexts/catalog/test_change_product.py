"""POST, PATCH and DELETE below /api/catalog/products/"""

import pytest

from tests.contexts.catalog.rows import a_category, a_person, a_product, a_review, a_seller, model

URL = "/api/catalog/products/"
ROLES = [("anonymous", 401), ("buyer", 403), ("other_staff", 403)]


def wanted(**fields):
    return {
        "sku": "GARISH-RUG",
        "name": "Garish rug",
        "seller": a_seller().pk,
        "category": a_category().pk,
        "price": "12.50",
        "weight": "0.5",
    } | fields


def stored():
    return model("Product").objects.get()


def test_a_product_starts_as_a_draft_that_names_who_entered_it(bearer):
    answer = bearer("staff").post(URL, wanted())
    assert answer.status_code == 201
    product = stored()
    assert (product.status, product.slug, product.created_by_id) == ("draft", "garish-rug", a_person("staff"))
    assert answer.json() == bearer("staff").get(f"{URL}{product.pk}/").json()


@pytest.mark.parametrize(("role", "answer"), ROLES)
def test_strangers_enter_no_product(bearer, role, answer):
    assert bearer(role).post(URL, wanted()).status_code == answer
    assert not model("Product").objects.exists()


@pytest.mark.parametrize(("role", "answer"), [*ROLES, ("staff", 200), ("support", 200), ("admin", 200)])
def test_a_price_is_changed_by_the_sellers_staff_support_and_admins(bearer, role, answer):
    product = a_product(price="12.50")
    assert bearer(role).patch(f"{URL}{product.pk}/", {"price": "9.90"}).status_code == answer
    assert str(stored().price) == ("9.90" if answer == 200 else "12.50")


@pytest.mark.parametrize(("role", "answer"), [*ROLES, ("staff", 204), ("support", 204), ("admin", 204)])
def test_a_product_is_deleted_by_the_sellers_staff_support_and_admins(bearer, role, answer):
    product = a_product()
    a_review(product)
    assert bearer(role).delete(f"{URL}{product.pk}/").status_code == answer
    assert model("Product").objects.exists() is model("Review").objects.exists() is (answer != 204)


@pytest.mark.parametrize("role", ["buyer", "other_staff"])
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_draft_is_not_there_for_strangers(bearer, role, method):
    product = a_product(status="draft")
    assert getattr(bearer(role), method)(f"{URL}{product.pk}/", {}).status_code == 404


def test_staff_give_their_product_to_no_other_seller(bearer):
    product = a_product()
    answer = bearer("staff").patch(f"{URL}{product.pk}/", {"seller": a_seller("Rivals").pk})
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == (
        "Only the seller's staff, support and admins change a product; it is as it was."
    )


@pytest.mark.parametrize("name", ["id", "slug", "units_sold", "in_stock", "rating_average", "created_by"])
def test_a_field_that_nobody_may_set_is_passed_over(bearer, name):
    product = a_product()
    before = bearer("admin").get(f"{URL}{product.pk}/").json()
    assert bearer("admin").patch(f"{URL}{product.pk}/", {name: 7}).status_code == 200
    after = bearer("admin").get(f"{URL}{product.pk}/").json()
    assert after == before | {"updated_at": after["updated_at"]}


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"price": "cheap"}, "price"),
        ({"price": "1e9"}, "price"),
        ({"sku": ""}, "sku"),
        ({"sku": "TAKEN"}, "sku"),
        ({"status": "lost"}, "status"),
        ({"seller": 4711}, "seller"),
        ({"category": None}, "category"),
        ({"name": "x" * 161}, "name"),
        ({"attributes": {"thread": ["M8", "\0"]}}, "attributes"),
    ],
)
def test_what_can_not_be_stored_is_a_problem_of_its_field(bearer, fields, attr):
    a_product("TAKEN")
    answer = bearer("staff").post(URL, wanted() | fields)
    assert answer.status_code == 400
    assert [one["attr"] for one in answer.json()["errors"]] == [attr]
    assert model("Product").objects.count() == 1


def test_what_is_changed_is_announced_with_who_did_it(bearer, announced):
    product = a_product(price="12.50")
    bearer("staff").patch(f"{URL}{product.pk}/", {"price": "9.90"})
    assert announced() == [
        (
            "catalog.product_price_changed",
            {"product": product.pk, "price": "9.90", "currency": "EUR", "was": "12.50"},
        ),
        (
            "catalog.product_edited",
            {"product": product.pk, "by": a_person("staff"), "action": "product changed"},
        ),
    ]
    bearer("staff").delete(f"{URL}{product.pk}/")
    assert announced() == [("catalog.product_deleted", {"product": product.pk})]
