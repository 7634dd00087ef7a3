"""PUT and DELETE /api/catalog/products/<pk>/watch/, GET /api/catalog/watched/"""

from tests.contexts.factories import a_product


def test_a_buyer_watches_a_product_until_they_stop(ask):
    product = a_product()
    client = ask("buyer")
    url = f"/api/catalog/products/{product.pk}/watch/"
    assert client.put(url).status_code == 204
    assert [seen["sku"] for seen in client.get("/api/catalog/watched/").json()["results"]] == ["GARISH-RUG"]
    assert client.delete(url).status_code == 204
    assert client.get("/api/catalog/watched/").json()["count"] == 0


def test_watching_needs_a_name(ask):
    product = a_product()
    assert ask("anonymous").put(f"/api/catalog/products/{product.pk}/watch/").status_code == 401


def test_a_buyer_watches_no_draft(ask):
    product = a_product(status="draft")
    assert ask("buyer").put(f"/api/catalog/products/{product.pk}/watch/").status_code == 404
