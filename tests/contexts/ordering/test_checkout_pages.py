"""GET and POST /checkout/"""

import pytest

from monolith.inventory.models import Reservation
from monolith.ordering.models import Order
from tests.contexts.factories import ADDRESS, a_product, stock_of


@pytest.fixture
def shopper(visit):
    """A buyer with two rugs of five in the cart."""
    product, browser = a_product(price="12.50"), visit("buyer")
    stock_of(product, 5)
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    return browser


def test_an_order_is_placed_for_the_address_that_was_given(shopper):
    page = shopper.post("/checkout/", ADDRESS, follow=True)
    order = Order.objects.get()
    assert page.redirect_chain == [(f"/orders/{order.number}/", 302)]
    assert "Your order is placed." in page.text
    assert (order.buyer.username, str(order.total), order.address) == ("buyer", "25.00", ADDRESS)
    assert Reservation.objects.get().quantity == 2
    assert "There is nothing to check out." in shopper.get("/checkout/").text


def test_the_last_address_is_offered_again(shopper):
    assert shopper.get("/checkout/").context["form"].initial == {"name": ""}
    shopper.post("/checkout/", ADDRESS)
    assert shopper.get("/checkout/").context["form"].initial == ADDRESS


@pytest.mark.parametrize("field", ["name", "street", "postcode", "city", "country"])
def test_an_address_without_one_of_its_parts_is_refused_at_that_field(shopper, field):
    page = shopper.post("/checkout/", ADDRESS | {field: ""})
    assert page.context["form"].errors.keys() == {field}
    assert 'aria-invalid="true"' in page.text
    assert not Order.objects.exists()


def test_an_unknown_country_is_refused(shopper):
    assert shopper.post("/checkout/", ADDRESS | {"country": "XX"}).context["form"].errors.keys() == {
        "country"
    }


def test_what_is_sold_out_by_now_is_not_ordered_and_the_cart_stays(shopper):
    product = a_product("ROTOR", name="Rotor")
    stock_of(product, 1)
    shopper.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    page = shopper.post("/checkout/", ADDRESS)
    assert "Rotor" in page.context["form"].non_field_errors()[0]
    assert not Order.objects.exists()
    assert not Reservation.objects.exists()
    assert len(shopper.get("/cart/").context["rows"]) == 2


def test_an_empty_cart_is_not_ordered(visit):
    page = visit("buyer").post("/checkout/", ADDRESS)
    assert "Your cart is empty." in page.text
    assert not Order.objects.exists()


def test_strangers_are_asked_to_sign_in_first(visit):
    assert visit("anonymous").get("/checkout/")["Location"] == "/account/login/?next=/checkout/"
