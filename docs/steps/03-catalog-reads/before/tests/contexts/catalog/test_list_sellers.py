"""GET /api/catalog/sellers/ and /api/catalog/sellers/<pk>/"""

from tests.contexts.catalog.rows import a_product, a_seller


def test_sellers_are_listed_by_key(bearer):
    first, second = a_seller("Rugs and Rotors"), a_seller("Abel Parts")
    answer = bearer("anonymous").get("/api/catalog/sellers/").json()
    assert [seller["id"] for seller in answer["results"]] == [first.pk, second.pk]
    assert answer["results"][0]["slug"] == "rugs-and-rotors"


def test_a_seller_shows_how_many_products_are_for_sale(bearer):
    seller = a_seller()
    a_product("ONE")
    a_product("TWO", status="draft")
    shown = bearer("anonymous").get(f"/api/catalog/sellers/{seller.pk}/").json()
    assert shown["product_count"] == 1
    assert shown["country"] == "DE"


def test_a_seller_that_does_not_exist_is_not_found(bearer):
    assert bearer("anonymous").get("/api/catalog/sellers/4711/").status_code == 404
