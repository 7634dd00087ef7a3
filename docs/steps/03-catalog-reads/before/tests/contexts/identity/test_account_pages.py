"""GET and POST /account/, /account/login/, /account/logout/ and /account/register/"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monolith.identity.models import User
from monolith.ordering.models import Order, OrderLine
from tests.contexts.factories import ADDRESS, a_product, a_user

NEWCOMER = {
    "username": "greta",
    "email": "greta@marketplace.example",
    "password1": "ties-the-room",
    "password2": "ties-the-room",
}


def an_order(user, number, *products):
    order = Order.objects.create(number=number, buyer=user, address=ADDRESS)
    for product in products:
        OrderLine.objects.create(order=order, product=product, quantity=1, unit_price=product.price)
    return order


def is_signed_in(browser):
    return "_auth_user_id" in browser.session


def test_a_newcomer_registers_as_a_buyer_and_is_signed_in(visit):
    browser = visit("anonymous")
    answer = browser.post("/account/register/", NEWCOMER | {"role": "admin", "is_staff": "on"})
    assert answer["Location"] == "/account/"
    user = User.objects.get()
    assert (user.username, user.role, user.is_staff) == ("greta", "buyer", False)
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "ada"}, "username"),
        ({"email": "nowhere"}, "email"),
        ({"email": ""}, "email"),
        ({"password2": "something-else"}, "password2"),
        ({"password1": "short", "password2": "short"}, "password2"),
    ],
)
def test_a_registration_that_is_wrong_is_refused_at_its_field(visit, change, field):
    a_user("ada")
    page = visit("anonymous").post("/account/register/", NEWCOMER | change)
    assert page.context["form"].errors.keys() == {field}
    assert User.objects.count() == 1


@pytest.fixture
def ada(db):
    user = a_user("ada")
    user.set_password("ties-the-room")
    user.save()
    return user


@pytest.mark.parametrize(
    ("then", "location"), [("", "/shop/"), ("/checkout/", "/checkout/"), ("https://evil.example/", "/shop/")]
)
def test_signing_in_leads_on_but_never_off_the_site(visit, ada, then, location):
    browser = visit("anonymous")
    answer = browser.post("/account/login/", {"username": "ada", "password": "ties-the-room", "next": then})
    assert answer["Location"] == location
    assert is_signed_in(browser)


def test_a_wrong_password_is_refused(visit, ada):
    browser = visit("anonymous")
    page = browser.post("/account/login/", {"username": "ada", "password": "wrong"})
    assert "Please enter a correct username and password" in page.text
    assert not is_signed_in(browser)


def test_signing_out_takes_a_form_and_not_a_link(visit):
    browser = visit("buyer")
    assert browser.get("/account/logout/").status_code == 405
    assert is_signed_in(browser)
    browser.post("/account/logout/")
    assert not is_signed_in(browser)


def test_the_account_shows_the_own_orders_and_wishlist(visit):
    browser, user = visit("buyer"), a_user("buyer")
    mine, theirs, watched = a_product("MINE"), a_product("THEIRS"), a_product("WATCHED")
    an_order(user, "P-1", mine)
    an_order(a_user("other"), "P-2", theirs)
    watched.watchers.add(user)
    page = browser.get("/account/")
    for text in ("P-1", mine.name, watched.name):
        assert text in page.text
    for text in ("P-2", theirs.name):
        assert text not in page.text


def test_what_was_withdrawn_is_gone_from_the_wishlist(visit):
    browser = visit("buyer")
    product = a_product(status="draft")
    product.watchers.add(a_user("buyer"))
    assert list(browser.get("/account/").context["wishlist"]) == []


def test_an_account_without_orders_and_wishes_says_so(visit):
    page = visit("buyer").get("/account/")
    assert "ordered anything yet." in page.text
    assert "Your wishlist is empty." in page.text


def test_a_profile_is_changed_but_not_the_role(visit):
    visit("buyer").post(
        "/account/", {"first_name": "Ada", "last_name": "Abel", "email": "a@b.example", "role": "admin"}
    )
    user = a_user("buyer")
    assert (user.display_name, user.email, user.role) == ("Ada Abel", "a@b.example", "buyer")


def test_a_profile_without_an_address_for_mail_is_refused_at_the_field(visit):
    page = visit("buyer").post("/account/", {"first_name": "Mallory", "email": "nowhere"})
    assert page.context["form"].errors.keys() == {"email"}
    assert page.context["user"].first_name == ""


def test_strangers_are_asked_to_sign_in_first(visit):
    assert visit("anonymous").get("/account/")["Location"] == "/account/login/?next=/account/"


def test_more_orders_and_wishes_cost_no_more_queries(visit):
    browser, user = visit("buyer"), a_user("buyer")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            browser.get("/account/")
        return len(captured)

    an_order(user, "P-0", a_product("FIRST"))
    a_product("WISH").watchers.add(user)
    few = queries()
    for number in range(1, 5):
        product = a_product(f"N{number}")
        an_order(user, f"P-{number}", product)
        product.watchers.add(user)
    assert queries() == few
