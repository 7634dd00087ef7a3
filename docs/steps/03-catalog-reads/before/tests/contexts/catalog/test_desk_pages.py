"""GET /account/desk/ and POST /account/desk/<pk>/"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monolith.ordering.models import AuditEntry
from tests.contexts.factories import a_product, a_seller, stock_of


def change(browser, product, **fields):
    shown = {"price": "12.50", "status": "active"} | fields
    return browser.post(
        f"/account/desk/{product.pk}/", {f"p{product.pk}-{name}": value for name, value in shown.items()}
    )


def test_the_desk_shows_the_products_of_the_own_seller_drafts_too(visit):
    browser = visit("staff")
    mine, theirs = a_product("MINE", status="draft"), a_product("THEIRS", seller=a_seller("Rivals"))
    page = browser.get("/account/desk/")
    assert mine.name in page.text
    assert theirs.name not in page.text


def test_a_desk_without_products_says_so(visit):
    assert "There are no products yet" in visit("staff").get("/account/desk/").text


@pytest.mark.parametrize("role", ["buyer", "support", "admin"])
def test_the_desk_is_for_people_who_work_for_a_seller(visit, role):
    page = visit(role).get("/account/desk/")
    assert page.status_code == 403
    assert "The seller&#x27;s desk is for people who work for a seller." in page.text


def test_strangers_are_asked_to_sign_in_first(visit):
    assert visit("anonymous").get("/account/desk/")["Location"] == "/account/login/?next=/account/desk/"


def test_staff_change_price_status_and_stock_in_one_go(visit):
    browser, product = visit("staff"), a_product()
    item = stock_of(product, 5)
    answer = change(browser, product, price="9.90", status="retired", **{f"stock_{item.pk}": "0"})
    assert answer["Location"] == f"/account/desk/?#p{product.pk}"
    product.refresh_from_db()
    item.refresh_from_db()
    assert (str(product.price), product.status, product.in_stock, item.quantity) == (
        "9.90",
        "retired",
        False,
        0,
    )
    assert AuditEntry.objects.get().action == "product changed"


def test_what_is_promised_to_orders_cannot_be_counted_away(visit):
    browser, product = visit("staff"), a_product()
    item = stock_of(product, 5)
    item.reserved = 3
    item.save()
    page = change(browser, product, price="9.90", **{f"stock_{item.pk}": "2"})
    assert page.status_code == 200
    assert "3 pieces are promised to orders already." in page.text
    product.refresh_from_db()
    item.refresh_from_db()
    assert (str(product.price), item.quantity, item.reserved) == ("12.50", 5, 3)


@pytest.mark.parametrize("price", ["-1", "0", "", "free", "123456789.00"])
def test_a_price_that_is_none_is_refused_at_the_field(visit, price):
    browser, product = visit("staff"), a_product()
    page = change(browser, product, price=price)
    assert page.context["forms"][0].errors.keys() == {"price"}
    product.refresh_from_db()
    assert str(product.price) == "12.50"


def test_nobody_changes_another_sellers_product(visit):
    product = a_product()
    assert change(visit("other_staff"), product, price="0.01").status_code == 404
    assert change(visit("buyer"), product, price="0.01").status_code == 403
    product.refresh_from_db()
    assert str(product.price) == "12.50"


def test_more_products_cost_no_more_queries(visit):
    browser = visit("staff")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            browser.get("/account/desk/")
        return len(captured)

    stock_of(a_product("FIRST"), 1)
    few = queries()
    for number in range(5):
        stock_of(a_product(f"N{number}"), 1)
    assert queries() == few
