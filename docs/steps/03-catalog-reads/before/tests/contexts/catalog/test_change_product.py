"""POST, PATCH and DELETE below /api/catalog/products/"""

import pytest

from monolith.catalog.models import Product
from tests.contexts.factories import a_category, a_product, a_seller

URL = "/api/catalog/products/"


def wanted(**fields):
    return {
        "sku": "GARISH-RUG",
        "name": "Garish rug",
        "seller": a_seller().pk,
        "category": a_category().pk,
        "price": "12.50",
        "weight": "0.5",
    } | fields


ROLES = [("anonymous", 401), ("buyer", 403), ("other_staff", 403)]


def test_a_product_starts_as_a_draft_that_names_who_entered_it(ask):
    assert ask("staff").post(URL, wanted()).status_code == 201
    product = Product.objects.get()
    assert (product.status, product.slug, product.created_by.username) == ("draft", "garish-rug", "staff")


@pytest.mark.parametrize(("role", "answer"), ROLES)
def test_strangers_enter_no_product(ask, role, answer):
    assert ask(role).post(URL, wanted()).status_code == answer
    assert not Product.objects.exists()


@pytest.mark.parametrize(("role", "answer"), [*ROLES, ("staff", 200), ("support", 200), ("admin", 200)])
def test_a_price_is_changed_by_the_sellers_staff_support_and_admins(ask, role, answer):
    product = a_product(price="12.50")
    assert ask(role).patch(f"{URL}{product.pk}/", {"price": "9.90"}).status_code == answer
    product.refresh_from_db()
    assert str(product.price) == ("9.90" if answer == 200 else "12.50")


def test_staff_give_their_product_to_no_other_seller(ask):
    product = a_product()
    response = ask("staff").patch(f"{URL}{product.pk}/", {"seller": a_seller("Rivals").pk})
    assert response.status_code == 403


def test_staff_delete_their_product(ask):
    product = a_product()
    assert ask("other_staff").delete(f"{URL}{product.pk}/").status_code == 403
    assert ask("staff").delete(f"{URL}{product.pk}/").status_code == 204
    assert not Product.objects.exists()
