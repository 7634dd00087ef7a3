"""POST /api/catalog/products/<pk>/reviews/"""

from decimal import Decimal

from tests.contexts.factories import ADDRESS, a_product, a_review, a_user, stock_of


def bought(client, product):
    stock_of(product, 5)
    client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 1})
    assert client.post("/api/ordering/orders/", {"address": ADDRESS}).status_code == 201


def test_a_review_counts_for_the_products_rating(ask):
    product = a_product()
    a_review(product, a_user("bruno"), rating=2)
    client = ask("buyer")
    bought(client, product)
    response = client.post(f"/api/catalog/products/{product.pk}/reviews/", {"rating": 5, "text": "Splendid."})
    assert response.status_code == 201
    assert response.json()["author"] == "buyer"
    product.refresh_from_db()
    assert (product.rating_average, product.rating_count) == (Decimal("3.50"), 2)


def test_nobody_reviews_what_they_have_not_bought(ask):
    product = a_product()
    response = ask("buyer").post(f"/api/catalog/products/{product.pk}/reviews/", {"rating": 5})
    assert response.status_code == 403


def test_nobody_reviews_a_product_twice_or_with_six_stars(ask):
    product = a_product()
    client = ask("buyer")
    bought(client, product)
    url = f"/api/catalog/products/{product.pk}/reviews/"
    assert client.post(url, {"rating": 6}).status_code == 400
    assert client.post(url, {"rating": 5}).status_code == 201
    assert client.post(url, {"rating": 4}).status_code == 400
