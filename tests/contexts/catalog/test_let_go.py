"""What becomes of rows that name a product, a seller or a user who is gone: each by a rule of its own.

Nothing cascades at once. In between, whoever names what is gone names nothing.
"""

import pytest

from monolith.catalog.models import Product, Review, Watch
from monolith.identity.models import SellerStaff, User
from monolith.inventory.models import Reservation, StockItem
from monolith.ordering.models import Order, OrderLine
from monolith.promotions.models import Offer
from strangler.chassis.inbox import subscriptions
from tests.contexts.admin_forms import press
from tests.contexts.factories import a_product, a_review, a_user, a_watch, an_offer, an_order, stock_of

NAMES_A_PRODUCT = (StockItem, Reservation, OrderLine, Offer)


@pytest.fixture
def rug(ask, deliver):
    """A product in stock, on offer and in an order."""
    rug = a_product()
    stock_of(rug, 5)
    an_offer(rug)
    an_order(ask("buyer"), rug, 2)
    deliver()
    return rug


def test_what_names_a_deleted_product_stays_until_its_owner_hears_of_it(ask, deliver, rug):
    assert ask("staff").delete(f"/api/catalog/products/{rug.pk}/").status_code == 204
    assert not Product.objects.exists()
    assert all(model.objects.exists() for model in NAMES_A_PRODUCT)
    deliver()
    assert not any(model.objects.exists() for model in NAMES_A_PRODUCT)
    assert Order.objects.exists()


def test_in_between_an_order_shows_a_line_without_its_product(ask, visit, deliver, rug):
    order = Order.objects.get()
    ask("staff").delete(f"/api/catalog/products/{rug.pk}/")
    buyer = ask("buyer")
    (line,) = buyer.get(f"/api/ordering/orders/{order.pk}/").json()["lines"]
    assert (line["product"], line["quantity"]) == (None, 2)
    assert visit("buyer").get(f"/orders/{order.number}/").status_code == 200
    assert visit("buyer").get("/account/").status_code == 200
    deliver()
    assert buyer.get(f"/api/ordering/orders/{order.pk}/").json()["lines"] == []


@pytest.mark.parametrize("page", ["ordering/orderline", "inventory/stockitem", "promotions/offer"])
def test_in_between_the_admins_lists_are_shown(ask, boss, rug, page):
    ask("staff").delete(f"/api/catalog/products/{rug.pk}/")
    assert boss.get(f"/admin/{page}/").status_code == 200


def test_heard_of_again_a_deleted_product_changes_nothing(ask, deliver, rug):
    """As in a replay, which goes past the inbox."""
    ask("staff").delete(f"/api/catalog/products/{rug.pk}/")
    (deleted,) = (event for event in deliver() if event.type == "catalog.product_deleted")
    hat = a_product("HAT")
    stock_of(hat, 5)
    an_offer(hat)
    an_order(ask("buyer"), hat)
    for one in subscriptions.declared():
        if deleted.type in one.types:
            one.handle(deleted)
    assert [model.objects.get().product for model in NAMES_A_PRODUCT] == [hat] * 4


def test_an_employment_ends_once_its_seller_is_gone_and_identity_hears_of_it(ask, boss, deliver, rug):
    ask("staff")
    press(boss, f"/admin/catalog/seller/{rug.seller_id}/delete/")
    assert SellerStaff.objects.exists()
    deliver()
    assert not SellerStaff.objects.exists()
    assert not any(model.objects.exists() for model in NAMES_A_PRODUCT)
    assert User.objects.filter(username="staff").exists()


@pytest.mark.parametrize("chosen", [True, False])
def test_what_names_a_deleted_user_is_let_go_of_once_the_catalog_hears_of_it(boss, deliver, chosen):
    """By the page's button, or chosen in the list."""
    ada = a_user("ada")
    rug = a_product(created_by=ada)
    a_review(rug, ada, rating=1)
    a_review(rug, a_user("bruno"), rating=4)
    a_watch(rug, ada)
    if chosen:
        press(boss, "/admin/identity/user/", action="delete_selected", _selected_action=[ada.pk])
    else:
        press(boss, f"/admin/identity/user/{ada.pk}/delete/")
    assert not User.objects.filter(username="ada").exists()
    rug.refresh_from_db()
    assert (rug.created_by_id is not None, Review.objects.count(), Watch.objects.count()) == (True, 2, 1)
    deliver()
    rug.refresh_from_db()
    assert (rug.created_by_id, Review.objects.get().author.username) == (None, "bruno")
    assert (str(rug.rating_average), rug.rating_count) == ("4.00", 1)
    assert not Watch.objects.exists()


def test_in_between_a_review_shows_the_name_that_it_was_written_under(boss, visit):
    ada = a_user("ada", first_name="Ada", last_name="Abel")
    rug = a_product()
    a_review(rug, ada)
    press(boss, f"/admin/identity/user/{ada.pk}/delete/")
    assert "Ada Abel" in visit("anonymous").get(f"/shop/products/{rug.pk}/").text
