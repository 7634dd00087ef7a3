"""GET /api/catalog/products/<pk>/reviews/"""

from tests.contexts.factories import a_product, a_review, a_user


def url(product):
    return f"/api/catalog/products/{product.pk}/reviews/"


def test_reviews_are_listed_newest_first_with_the_name_of_their_author(ask):
    product = a_product()
    a_review(product, a_user("ada", first_name="Ada", last_name="Abel"), 5, "Splendid.")
    a_review(product, a_user("bruno"), 2, "Went back.")
    reviews = ask("anonymous").get(url(product)).json()
    assert reviews["count"] == 2
    assert [(review["author"], review["rating"], review["text"]) for review in reviews["results"]] == [
        ("bruno", 2, "Went back."),
        ("Ada Abel", 5, "Splendid."),
    ]


def test_reviews_of_a_draft_are_not_found_by_a_buyer(ask):
    product = a_product(status="draft")
    assert ask("buyer").get(url(product)).status_code == 404
    assert ask("staff").get(url(product)).status_code == 200


def test_more_reviews_need_no_more_queries(ask, django_assert_num_queries):
    product = a_product()
    for number in range(5):
        a_review(product, a_user(f"author{number}"))
    client = ask("anonymous")
    with django_assert_num_queries(3):  # the product, the count and the page
        assert len(client.get(url(product)).json()["results"]) == 5
