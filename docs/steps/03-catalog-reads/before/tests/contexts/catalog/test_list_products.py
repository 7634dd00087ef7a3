"""GET /api/catalog/products/"""

import pytest

from tests.contexts.catalog.rows import a_category, a_product, a_seller

URL = "/api/catalog/products/"


def skus(response):
    assert response.status_code == 200, response.content
    return [product["sku"] for product in response.json()["results"]]


def test_a_product_is_listed_with_its_seller_category_price_and_counters(bearer):
    product = a_product()
    seller, category = product.seller, product.category
    assert bearer("anonymous").get(URL).json() == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {
                "id": product.pk,
                "sku": "GARISH-RUG",
                "slug": "garish-rug",
                "name": "Garish Rug",
                "seller": {"id": seller.pk, "name": "Rugs and Rotors", "slug": "rugs-and-rotors"},
                "category": {"id": category.pk, "name": "Brakes", "slug": "brakes"},
                "status": "active",
                "price": "12.50",
                "currency": "EUR",
                "in_stock": False,
                "units_sold": 0,
                "rating_average": None,
                "rating_count": 0,
            }
        ],
    }


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("anonymous", ["ACTIVE"]),
        ("buyer", ["ACTIVE"]),
        ("other_staff", ["ACTIVE"]),
        ("staff", ["ACTIVE", "DRAFT", "RETIRED"]),
        ("support", ["ACTIVE", "DRAFT", "RETIRED"]),
        ("admin", ["ACTIVE", "DRAFT", "RETIRED"]),
    ],
)
def test_drafts_and_retired_products_are_listed_for_their_staff_support_and_admins(bearer, role, seen):
    for status in ("active", "draft", "retired"):
        a_product(status.upper(), status=status, slug=status)
    assert skus(bearer(role).get(URL)) == seen


def test_a_category_holds_the_products_of_its_children(bearer):
    brakes, engine = a_category("Brakes"), a_category("Engine")
    a_product("DISC", category=a_category("Discs", parent=brakes))
    a_product("BRAKE", category=brakes)
    a_product("PISTON", category=engine)
    assert skus(bearer("anonymous").get(URL, {"category": "brakes"})) == ["DISC", "BRAKE"]
    assert skus(bearer("anonymous").get(URL, {"category": "discs"})) == ["DISC"]


def test_products_are_filtered_by_seller(bearer):
    a_product("OURS")
    a_product("THEIRS", seller=a_seller("Rivals"))
    assert skus(bearer("anonymous").get(URL, {"seller": "rivals"})) == ["THEIRS"]


def test_a_search_looks_in_names_and_descriptions_and_for_a_whole_sku(bearer):
    a_product("ONE", name="Garish disc")
    a_product("TWO", name="Plain disc", description="Not garish at all.")
    a_product("THREE", name="Plain pad")
    assert skus(bearer("anonymous").get(URL, {"q": "GARISH"})) == ["ONE", "TWO"]
    assert skus(bearer("anonymous").get(URL, {"q": "three"})) == ["THREE"]


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [("price", ["B", "A", "C"]), ("-price", ["A", "C", "B"]), ("name", ["C", "B", "A"])],
)
def test_products_are_ordered_as_asked_and_by_key_where_equal(bearer, ordering, expected):
    a_product("A", name="Zinc", price="20")
    a_product("B", name="Brass", price="5")
    a_product("C", name="Alloy", price="20")
    assert skus(bearer("anonymous").get(URL, {"ordering": ordering})) == expected


def test_an_unknown_ordering_is_refused(bearer):
    response = bearer("anonymous").get(URL, {"ordering": "cheapness"})
    assert response.status_code == 400
    assert "price, -price, name" in response.content.decode()


def test_a_page_holds_24_products_and_names_its_neighbours(bearer):
    for number in range(49):
        a_product(f"P{number:02}")
    page = bearer("anonymous").get(URL, {"page": 2}).json()
    assert page["count"] == 49
    assert [product["sku"] for product in page["results"]] == [f"P{number}" for number in range(24, 48)]
    # Relative: the same in every home, and under every name that the gateway is asked by.
    assert page["next"] == "/api/catalog/products/?page=3"
    assert page["previous"] == "/api/catalog/products/"


def test_a_page_beyond_the_last_is_not_found(bearer):
    a_product()
    assert bearer("anonymous").get(URL, {"page": 2}).status_code == 404


def test_more_products_need_no_more_queries(bearer, django_assert_num_queries):
    for number in range(10):
        a_product(
            f"P{number}", seller=a_seller(f"Seller {number}"), category=a_category(f"Category {number}")
        )
    client = bearer("anonymous")
    with django_assert_num_queries(2):  # the count and the page
        assert len(skus(client.get(URL))) == 10
