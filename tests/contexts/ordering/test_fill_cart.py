"""GET /api/ordering/cart/ and PUT /api/ordering/cart/<product>/"""

from tests.contexts.factories import a_product


def test_a_cart_is_kept_in_the_session_of_somebody_who_has_not_signed_in(ask):
    product = a_product(price="12.50")
    client = ask("anonymous")
    client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 3})
    cart = client.get("/api/ordering/cart/").json()
    assert [(line["product"]["sku"], line["quantity"], line["amount"]) for line in cart["lines"]] == [
        ("GARISH-RUG", 3, "37.50")
    ]
    assert cart["total"] == "37.50"


def test_no_pieces_take_a_product_out_of_the_cart(ask):
    product = a_product()
    client = ask("anonymous")
    client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 3})
    cart = client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 0}).json()
    assert cart == {"lines": [], "total": "0.00"}


def test_a_draft_goes_into_no_buyers_cart(ask):
    product = a_product(status="draft")
    response = ask("buyer").put(f"/api/ordering/cart/{product.pk}/", {"quantity": 1})
    assert response.status_code == 404
