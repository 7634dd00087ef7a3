"""GET and PATCH /api/inventory/stock/, GET /api/inventory/availability/<pk>/"""

import pytest

from tests.contexts.factories import a_product, stock_of


@pytest.mark.parametrize(
    ("role", "answer", "rows"),
    [
        ("anonymous", 401, None),
        ("buyer", 403, None),
        ("other_staff", 200, 0),
        ("staff", 200, 1),
        ("support", 200, 1),
        ("admin", 200, 1),
    ],
)
def test_stock_is_shown_to_the_sellers_own_staff_support_and_admins(ask, role, answer, rows):
    stock_of(a_product(), 5)
    response = ask(role).get("/api/inventory/stock/")
    assert response.status_code == answer
    assert rows is None or response.json()["count"] == rows


def test_a_product_without_pieces_goes_out_of_stock_when_it_is_counted(ask):
    product = a_product()
    item = stock_of(product, 5)
    product.refresh_from_db()
    assert product.in_stock
    response = ask("staff").patch(f"/api/inventory/stock/{item.pk}/", {"quantity": 0})
    assert response.status_code == 200
    product.refresh_from_db()
    assert not product.in_stock


def test_fewer_pieces_than_are_promised_are_refused(ask):
    item = stock_of(a_product(), 5)
    item.reserved = 3
    item.save()
    response = ask("staff").patch(f"/api/inventory/stock/{item.pk}/", {"quantity": 2})
    assert response.status_code == 400
    item.refresh_from_db()
    assert item.quantity == 5


def test_availability_leaves_out_what_is_promised(ask):
    product = a_product()
    item = stock_of(product, 5)
    item.reserved = 3
    item.save()
    stock_of(product, 4, "LYO")
    assert ask("anonymous").get(f"/api/inventory/availability/{product.pk}/").json() == {
        "product": product.pk,
        "available": 6,
    }


def test_availability_of_a_draft_is_not_found_by_a_buyer(ask):
    product = a_product(status="draft")
    assert ask("buyer").get(f"/api/inventory/availability/{product.pk}/").status_code == 404
