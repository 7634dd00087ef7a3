"""POST /api/catalog/products/<pk>/reviews/"""

from decimal import Decimal

from tests.contexts.catalog.rows import a_product, a_review, model


def url_of(product):
    return f"/api/catalog/products/{product.pk}/reviews/"


def test_a_review_counts_for_the_products_rating(bearer, buys):
    product = a_product()
    a_review(product, "bruno", rating=2)
    buys("buyer", product)
    answer = bearer("buyer").post(url_of(product), {"rating": 5, "text": "Splendid."})
    assert answer.status_code == 201
    assert answer.json()["author"] == "buyer"
    product.refresh_from_db()
    assert (product.rating_average, product.rating_count) == (Decimal("3.50"), 2)


def test_nobody_reviews_what_they_have_not_bought(bearer, buys):
    product = a_product()
    buys("bruno", product)
    answer = bearer("buyer").post(url_of(product), {"rating": 5})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Only somebody who has bought the product reviews it."


def test_nobody_reviews_a_product_twice_or_with_six_stars(bearer, buys):
    product = a_product()
    buys("buyer", product)
    client = bearer("buyer")
    assert client.post(url_of(product), {"rating": 6}).status_code == 400
    assert client.post(url_of(product), {"rating": 5}).status_code == 201
    again = client.post(url_of(product), {"rating": 4})
    assert again.status_code == 400
    assert again.json()["errors"][0]["detail"] == "You have reviewed this product already."
    assert model("Review").objects.count() == 1


def test_reviewing_needs_a_name_and_a_product_that_is_there(bearer):
    product = a_product(status="draft")
    assert bearer("anonymous").post(url_of(product), {"rating": 5}).status_code == 401
    assert bearer("buyer").post(url_of(product), {"rating": 5}).status_code == 404


def test_a_review_overwrites_nothing_that_others_keep(bearer, buys):
    product = a_product()
    buys("buyer", product)
    model("Product").objects.filter(pk=product.pk).update(units_sold=3)
    review = bearer("buyer").post(url_of(product), {"rating": 5})
    assert review.status_code == 201
    product.refresh_from_db()
    assert (product.units_sold, product.rating_count) == (3, 1)
