"""GET /shop/products/<pk>/, and what is sent from it"""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from monolith.catalog.models import Product, Review
from monolith.ordering.models import Order, OrderLine
from tests.contexts.factories import ADDRESS, a_product, a_review, a_seller, a_user, stock_of


def url(product, then=""):
    return f"/shop/products/{product.pk}/{then}"


def bought(user, *products, status="delivered"):
    order = Order.objects.create(
        number=f"P-{Order.objects.count()}", buyer=user, address=ADDRESS, status=status
    )
    for product in products:
        OrderLine.objects.create(order=order, product=product, quantity=1, unit_price=product.price)


def test_a_product_shows_its_price_stock_seller_facts_and_reviews(visit):
    product = a_product(
        description="Ties the room together.",
        attributes={"fits": ["Otter 1971", "Lynx 1983"], "dry clean": True},
    )
    stock_of(product, 5, "HAM")
    stock_of(product, 2, "LYO")
    a_review(product, a_user("bruno", first_name="Bruno", last_name="Abel"), text="Better than the original.")
    page = visit("anonymous").get(url(product))
    assert page.status_code == 200
    for text in (
        "12.50",
        "7 in stock",
        "5 in HAM · 2 in LYO",
        "Rugs and Rotors",
        "Ties the room together.",
        "Otter 1971, Lynx 1983",
        "Bruno Abel",
        "Better than the original.",
    ):
        assert text in page.text


def test_what_is_sold_out_cannot_be_put_into_the_cart(visit):
    page = visit("anonymous").get(url(a_product()))
    assert "Sold out" in page.text
    assert "<button disabled>Add to cart</button>" in page.text


@pytest.mark.parametrize("status", ["draft", "retired"])
@pytest.mark.parametrize(
    ("role", "answer"),
    [
        ("anonymous", 404),
        ("buyer", 404),
        ("other_staff", 404),
        ("staff", 200),
        ("support", 200),
        ("admin", 200),
    ],
)
def test_only_its_staff_support_and_admins_are_shown_a_product_that_is_not_active(
    visit, status, role, answer
):
    product = a_product(status=status)
    assert visit(role).get(url(product)).status_code == answer


def test_other_products_of_the_same_orders_are_shown_but_no_draft(visit):
    rug, rotor, secret = a_product("RUG"), a_product("ROTOR"), a_product("SECRET", status="draft")
    bought(a_user("bruno"), rug, rotor, secret)
    page = visit("anonymous").get(url(rug))
    assert "Often bought together" in page.text
    assert list(page.context["also_bought"]) == [rotor]


def test_a_product_is_put_on_the_wishlist_and_taken_off(visit):
    product, browser = a_product(), visit("buyer")
    page = browser.post(url(product, "watch/"), {"watch": "on"}, follow=True)
    assert "On your wishlist" in page.text
    assert product.watchers.get().username == "buyer"
    browser.post(url(product, "watch/"), {"watch": "off"})
    assert not product.watchers.exists()


@pytest.mark.parametrize("then", ["watch/", "review/"])
def test_strangers_are_asked_to_sign_in_first(visit, then):
    answer = visit("anonymous").post(url(a_product(), then))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/login/?next=")


@pytest.mark.parametrize("then", ["watch/", "review/"])
def test_what_changes_something_is_not_done_by_a_link(visit, then):
    assert visit("buyer").get(url(a_product(), then)).status_code == 405


def test_a_buyer_reviews_what_they_have_bought_once(visit):
    product, browser = a_product(), visit("buyer")
    bought(a_user("buyer"), product)
    assert "Send the review" in browser.get(url(product)).text
    page = browser.post(url(product, "review/"), {"rating": "5", "text": "Soft."}, follow=True)
    assert "Soft." in page.text
    assert "Send the review" not in page.text
    assert browser.post(url(product, "review/"), {"rating": "1"}).status_code == 403
    assert Review.objects.get().rating == 5
    product.refresh_from_db()
    assert product.rating_count == 1


def test_a_review_without_stars_is_refused_at_the_field(visit):
    product, browser = a_product(), visit("buyer")
    bought(a_user("buyer"), product)
    page = browser.post(url(product, "review/"), {"rating": "6", "text": "Soft."})
    assert page.context["review_form"].errors.keys() == {"rating"}
    assert "Soft." in page.text
    assert not Review.objects.exists()


@pytest.mark.parametrize("status", [None, "cancelled"])
def test_nobody_reviews_what_they_have_not_bought(visit, status):
    product, browser = a_product(), visit("buyer")
    if status:
        bought(a_user("buyer"), product, status=status)
    assert "Send the review" not in browser.get(url(product)).text
    assert browser.post(url(product, "review/"), {"rating": "5"}).status_code == 403
    assert not Review.objects.exists()


def test_a_form_without_its_token_is_refused(visit):
    product = a_product()
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = visit("buyer").cookies
    answer = browser.post(url(product, "watch/"), {"watch": "on"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.text
    assert not product.watchers.exists()


def test_pages_refuse_to_be_framed_or_sniffed(visit):
    answer = visit("anonymous").get(url(a_product()))
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_more_reviews_and_stock_cost_no_more_queries(visit):
    product, browser = a_product(), visit("anonymous")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            browser.get(url(product))
        return len(captured)

    stock_of(product, 1, "W")
    a_review(product, a_user("first"))
    bought(a_user("first"), product, a_product("ALSO"))
    few = queries()
    for number in range(4):
        stock_of(product, 1, f"W{number}")
        a_review(product, a_user(f"author{number}"))
        other = a_product(f"ALSO-{number}", seller=a_seller(f"S{number}"))
        bought(a_user("first"), product, other)
    assert queries() == few
    assert Product.objects.get(pk=product.pk).rating_count == 5
