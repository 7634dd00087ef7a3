"""GET /api/catalog/categories/ and /api/catalog/categories/<slug>/"""

from tests.contexts.catalog.rows import a_category


def test_categories_name_their_parent(bearer, django_assert_num_queries):
    brakes = a_category("Brakes")
    discs = a_category("Discs", parent=brakes)
    client = bearer("anonymous")
    with django_assert_num_queries(1):
        answer = client.get("/api/catalog/categories/").json()
    assert answer == [
        {"id": brakes.pk, "name": "Brakes", "slug": "brakes", "parent": None},
        {"id": discs.pk, "name": "Discs", "slug": "discs", "parent": "brakes"},
    ]


def test_a_category_shows_its_children(bearer):
    brakes = a_category("Brakes")
    pads = a_category("Pads", parent=brakes)
    discs = a_category("Discs", parent=brakes)
    shown = bearer("anonymous").get("/api/catalog/categories/brakes/").json()
    assert shown["parent"] is None
    assert shown["children"] == [
        {"id": pads.pk, "name": "Pads", "slug": "pads", "parent": "brakes"},
        {"id": discs.pk, "name": "Discs", "slug": "discs", "parent": "brakes"},
    ]


def test_a_category_that_does_not_exist_is_not_found(bearer):
    assert bearer("anonymous").get("/api/catalog/categories/hats/").status_code == 404
