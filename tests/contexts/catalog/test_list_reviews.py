"""GET /api/catalog/products/<pk>/reviews/"""

from tests.contexts.catalog.rows import a_product, a_review


def url(product):
    return f"/api/catalog/products/{product.pk}/reviews/"


def test_reviews_are_listed_newest_first_with_the_name_of_their_author(bearer):
    product = a_product()
    a_review(product, "ada", 5, "Splendid.")
    a_review(product, "bruno", 2, "Went back.")
    reviews = bearer("anonymous").get(url(product)).json()
    assert reviews["count"] == 2
    assert [(review["author"], review["rating"], review["text"]) for review in reviews["results"]] == [
        ("Bruno", 2, "Went back."),
        ("Ada", 5, "Splendid."),
    ]


def test_reviews_of_a_draft_are_not_found_by_a_buyer(bearer):
    product = a_product(status="draft")
    assert bearer("buyer").get(url(product)).status_code == 404
    assert bearer("staff").get(url(product)).status_code == 200


def test_more_reviews_need_no_more_queries(bearer, django_assert_num_queries):
    product = a_product()
    for number in range(5):
        a_review(product, f"author{number}")
    client = bearer("anonymous")
    with django_assert_num_queries(3):  # the product, the count and the page
        assert len(client.get(url(product)).json()["results"]) == 5
