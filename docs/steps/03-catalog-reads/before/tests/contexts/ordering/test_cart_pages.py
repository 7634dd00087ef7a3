"""GET /cart/, POST /cart/<pk>/ and POST /cart/<pk>/add/"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.contexts.factories import a_product, a_seller


def cart(browser):
    rows = browser.get("/cart/").context["rows"]
    return {line.product.sku: line.quantity for line, _ in rows}


def test_an_empty_cart_says_so(visit):
    assert "There is nothing in your cart." in visit("anonymous").get("/cart/").text


def test_nobody_needs_to_sign_in_to_fill_a_cart(visit):
    browser, product = visit("anonymous"), a_product(price="12.50")
    page = browser.post(f"/cart/{product.pk}/add/", {"quantity": 2}, follow=True)
    assert page.redirect_chain == [("/cart/", 302)]
    assert "25.00" in page.text
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 1})
    assert cart(browser) == {"GARISH-RUG": 3}


def test_a_quantity_is_changed_and_a_product_removed(visit):
    browser, product = visit("anonymous"), a_product()
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    browser.post(f"/cart/{product.pk}/", {"quantity": 5})
    assert cart(browser) == {"GARISH-RUG": 5}
    browser.post(f"/cart/{product.pk}/", {"quantity": 0})
    assert cart(browser) == {}


@pytest.mark.parametrize("quantity", ["-1", "1000", "", "many"])
def test_a_quantity_that_is_none_is_refused_at_its_field(visit, quantity):
    browser, product = visit("anonymous"), a_product()
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    page = browser.post(f"/cart/{product.pk}/", {"quantity": quantity})
    [(_, form)] = page.context["rows"]
    assert form.errors.keys() == {"quantity"}
    assert cart(browser) == {"GARISH-RUG": 2}


@pytest.mark.parametrize("quantity", ["0", "-1", "998", "many"])
def test_no_more_than_999_pieces_are_added_and_no_fewer_than_one(visit, quantity):
    browser, product = visit("anonymous"), a_product()
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    page = browser.post(f"/cart/{product.pk}/add/", {"quantity": quantity}, follow=True)
    assert "Between 1 and 999 pieces" in page.text
    assert cart(browser) == {"GARISH-RUG": 2}


def test_a_draft_is_not_put_into_a_strangers_cart(visit):
    product = a_product(status="draft")
    assert visit("anonymous").post(f"/cart/{product.pk}/add/", {"quantity": 1}).status_code == 404


def test_what_was_retired_since_can_be_taken_out(visit):
    browser, product = visit("anonymous"), a_product()
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 1})
    product.status = "retired"
    product.save()
    assert "No longer offered" in browser.get("/cart/").text
    browser.post(f"/cart/{product.pk}/", {"quantity": 0})
    assert cart(browser) == {}


def test_changing_what_has_been_taken_out_already_puts_nothing_in(visit):
    browser, product = visit("anonymous"), a_product()
    assert browser.post(f"/cart/{product.pk}/", {"quantity": 3})["Location"] == "/cart/"
    assert cart(browser) == {}


def test_the_cart_stays_when_its_owner_signs_in(visit):
    from tests.contexts.factories import a_user

    browser, product, user = visit("anonymous"), a_product(), a_user()
    user.set_password("ties-the-room")
    user.save()
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    browser.post("/account/login/", {"username": "ada", "password": "ties-the-room"})
    assert browser.get("/cart/").context["user"] == user
    assert cart(browser) == {"GARISH-RUG": 2}


def test_more_lines_cost_no_more_queries(visit):
    browser = visit("anonymous")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            browser.get("/cart/")
        return len(captured)

    browser.post(f"/cart/{a_product('FIRST').pk}/add/", {"quantity": 1})
    cart(browser)  # shows the message of the first addition
    few = queries()
    for number in range(5):
        product = a_product(f"N{number}", seller=a_seller(f"S{number}"))
        browser.post(f"/cart/{product.pk}/add/", {"quantity": 1}, follow=True)
    assert queries() == few
