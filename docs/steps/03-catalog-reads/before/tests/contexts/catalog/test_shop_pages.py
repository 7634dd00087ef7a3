"""GET / and GET /shop/"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.contexts.factories import a_category, a_product, a_seller, stock_of


def names(response):
    assert response.status_code == 200
    return [product.name for product in response.context["page"]]


def test_the_front_page_and_the_shop_show_what_is_for_sale(visit):
    stock_of(a_product("GARISH-RUG", name="Garish rug", price="1234.50"), 3)
    for address in ("/", "/shop/"):
        page = visit("anonymous").get(address)
        assert names(page) == ["Garish rug"]
        for text in ("Garish rug", "1,234.50", "Rugs and Rotors", "In stock"):
            assert text in page.text


def test_a_shelf_shows_its_own_products_and_those_of_the_shelves_below(visit):
    brakes, engine = a_category("Brakes"), a_category("Engine")
    a_product("A", name="Disc", category=a_category("Discs", parent=brakes))
    a_product("B", name="Drum", category=brakes)
    a_product("C", name="Piston", category=engine)
    assert names(visit("anonymous").get("/shop/?category=brakes")) == ["Disc", "Drum"]
    assert names(visit("anonymous").get("/shop/?category=discs")) == ["Disc"]


def test_words_and_a_seller_narrow_what_is_shown(visit):
    a_product("A", name="Garish rug")
    a_product("B", name="Humble rug", seller=a_seller("Rivals"))
    browser = visit("anonymous")
    assert names(browser.get("/shop/?q=GARISH")) == ["Garish rug"]
    assert names(browser.get("/shop/?q=b")) == ["Humble rug"]
    assert names(browser.get("/shop/?seller=rivals")) == ["Humble rug"]


def test_the_shop_is_sorted_as_asked_and_an_unknown_order_is_passed_over(visit):
    for sku, price in (("A", "2.00"), ("B", "1.00"), ("C", "3.00")):
        a_product(sku, name=sku, price=price)
    browser = visit("anonymous")
    assert names(browser.get("/shop/?ordering=price")) == ["B", "A", "C"]
    assert names(browser.get("/shop/?ordering=-price")) == ["C", "A", "B"]
    assert names(browser.get("/shop/?ordering=password")) == ["A", "B", "C"]


def test_turning_the_page_keeps_the_question(visit):
    for number in range(25):
        a_product(f"RUG-{number:02}", name=f"Rug {number:02}")
    browser = visit("anonymous")
    first = browser.get("/shop/?q=rug")
    assert len(names(first)) == 24
    assert "?q=rug&amp;page=2" in first.text
    assert names(browser.get("/shop/?q=rug&page=2")) == ["Rug 24"]
    assert names(browser.get("/shop/?page=999")) == ["Rug 24"]


def test_where_nothing_is_found_the_page_says_so(visit):
    assert "Nothing here for “carpet”" in visit("anonymous").get("/shop/?q=carpet").text


@pytest.mark.parametrize("question", ["category=nowhere", "seller=nobody"])
def test_an_unknown_shelf_or_seller_is_not_found(visit, question):
    assert visit("anonymous").get(f"/shop/?{question}").status_code == 404


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("anonymous", []),
        ("buyer", []),
        ("other_staff", []),
        ("staff", ["D"]),
        ("support", ["D"]),
        ("admin", ["D"]),
    ],
)
def test_drafts_are_shown_to_their_staff_support_and_admins_alone(visit, role, shown):
    a_product("D", name="D", status="draft")
    assert names(visit(role).get("/shop/")) == shown


def test_what_a_visitor_types_comes_back_harmless(visit):
    page = visit("anonymous").get("/shop/", {"q": '"><script>alert(1)</script>'})
    assert "<script" not in page.text


@pytest.mark.parametrize("field", ["q", "category", "seller", "ordering", "page"])
def test_a_character_that_the_database_cannot_hold_is_passed_over(visit, field):
    a_product(name="Garish rug")
    assert names(visit("anonymous").get("/shop/", {field: "rug\0"})) == ["Garish rug"]


def test_more_products_cost_no_more_queries(visit):
    browser = visit("anonymous")

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            browser.get("/shop/")
        return len(queries)

    a_product("FIRST", seller=a_seller("S"), category=a_category("C", parent=a_category("P")))
    few = queries()
    for number in range(8):
        seller, shelf = a_seller(f"S{number}"), a_category(f"C{number}", parent=a_category(f"P{number}"))
        stock_of(a_product(f"N{number}", seller=seller, category=shelf), 1)
    assert queries() == few
