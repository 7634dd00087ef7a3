"""PUT and DELETE /api/catalog/products/<pk>/watch/, GET /api/catalog/watched/"""

from tests.contexts.catalog.rows import a_product


def watched(client):
    return [one["sku"] for one in client.get("/api/catalog/watched/").json()["results"]]


def test_a_buyer_watches_a_product_until_they_stop(bearer):
    url = f"/api/catalog/products/{a_product().pk}/watch/"
    client = bearer("buyer")
    for _ in range(2):  # a second time changes nothing
        assert client.put(url).status_code == 204
        assert watched(client) == ["GARISH-RUG"]
    for _ in range(2):
        assert client.delete(url).status_code == 204
        assert watched(client) == []


def test_a_wishlist_is_its_owners_alone(bearer):
    bearer("buyer").put(f"/api/catalog/products/{a_product().pk}/watch/")
    assert watched(bearer("support")) == []
    assert bearer("anonymous").get("/api/catalog/watched/").status_code == 401


def test_watching_needs_a_name(bearer):
    product = a_product()
    assert bearer("anonymous").put(f"/api/catalog/products/{product.pk}/watch/").status_code == 401


def test_a_buyer_watches_no_draft(bearer):
    product = a_product(status="draft")
    assert bearer("buyer").put(f"/api/catalog/products/{product.pk}/watch/").status_code == 404
