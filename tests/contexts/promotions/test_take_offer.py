"""An offer in the shop, the cart and checkout, and GET /api/promotions/offers/"""

import datetime

import pytest
from django.utils import timezone

from monolith.ordering.models import Order, OrderLine
from monolith.promotions.models import Offer
from tests.contexts.factories import ADDRESS, a_product, an_offer, an_order, stock_of


@pytest.fixture
def rug(db):
    product = a_product(price="12.50")
    stock_of(product, 9)
    return product


def test_an_offer_makes_the_cart_and_the_order_cheaper_and_is_counted(ask, rug):
    offer = an_offer(rug, percent=10)
    client = ask("buyer")
    order = an_order(client, rug, 2)
    offer.refresh_from_db()
    assert (str(order.total), str(OrderLine.objects.get().unit_price), offer.sold) == ("22.50", "11.25", 2)


def test_the_best_of_several_offers_counts(ask, rug):
    an_offer(rug, percent=20)
    an_offer(rug, percent=10)
    assert str(an_order(ask("buyer"), rug).total) == "10.00"


def test_an_offer_that_is_over_or_sold_out_makes_nothing_cheaper(ask, rug):
    an_offer(rug, ends_at=timezone.now() - datetime.timedelta(seconds=1))
    an_offer(rug, limit=3, sold=3)
    assert str(an_order(ask("buyer"), rug).total) == "12.50"
    assert ask("buyer").get("/api/promotions/offers/").json()["count"] == 0


def test_more_pieces_than_are_left_on_offer_are_refused(ask, rug):
    offer = an_offer(rug, limit=3, sold=2)
    client = ask("buyer")
    client.put(f"/api/ordering/cart/{rug.pk}/", {"quantity": 2})
    answer = client.post("/api/ordering/orders/", {"address": ADDRESS})
    assert (answer.status_code, answer.json()["code"]) == (409, "offer_sold_out")
    offer.refresh_from_db()
    assert offer.sold == 2
    assert not Order.objects.exists()


def test_offers_of_drafts_are_hidden_from_buyers(ask, rug):
    an_offer(rug)
    an_offer(a_product("DRAFT", status="draft"))
    (shown,) = ask("buyer").get("/api/promotions/offers/").json()["results"]
    assert (shown["sku"], shown["price"]) == ("GARISH-RUG", "11.25")
    assert ask("support").get("/api/promotions/offers/").json()["count"] == Offer.objects.count()


def test_the_shop_shows_the_offered_price_and_the_catalogs_api_its_own(visit, ask, rug):
    an_offer(rug)
    browser = visit("anonymous")
    page = browser.get(f"/shop/products/{rug.pk}/")
    assert "11.25" in page.text
    assert "10 % off" in page.text
    browser.post(f"/cart/{rug.pk}/add/", {"quantity": 1})
    assert "11.25" in browser.get("/cart/").text
    assert ask("anonymous").get(f"/api/catalog/products/{rug.pk}/").json()["price"] == "12.50"
