"""Ordering asks the catalog in process or over HTTP, and can't tell which by the answers"""

import pytest
from django.contrib.auth.models import AnonymousUser

from monolith.ordering.anticorruption import InProcess, OverHttp, catalog
from monolith.ordering.errors import CatalogAway
from monolith.ordering.models import Order
from strangler.chassis.identity import ANONYMOUS
from tests.contexts.factories import ADDRESS, a_category, a_product, a_seller, a_user, stock_of

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture
def over_http(address):
    return OverHttp(address)


@pytest.fixture
def away(settings):
    settings.CATALOG_URL = NOBODY_LISTENS


def test_both_adapters_say_the_same(over_http):
    discs = a_category("Discs", parent=a_category("Brakes"))
    rug, draft, retired = (
        a_product(status.upper(), status=status, slug=status, category=discs)
        for status in ("active", "draft", "retired")
    )
    staff = a_user("staff", "seller_staff")
    a_seller(staff=(staff,))
    in_process = InProcess()
    everything = [rug.pk, draft.pk, retired.pk, 999_999]
    assert over_http.list_articles(everything) == in_process.list_articles(everything)
    assert [one.is_offered for one in in_process.list_articles(everything)] == [True, False, False]
    assert (
        over_http.get_departments() == in_process.get_departments() == {"brakes": "brakes", "discs": "brakes"}
    )
    for user in (AnonymousUser(), a_user("buyer", "buyer"), staff, a_user("support", "support")):
        for product in (rug, draft, retired):
            assert over_http.get_article(user, product.pk) == in_process.get_article(user, product.pk)
    assert over_http.get_article(AnonymousUser(), draft.pk) is None
    assert over_http.get_article(staff, draft.pk).sku == "DRAFT"


def test_the_card_is_passed_on_as_the_catalog_shows_it(over_http):
    product = a_product()
    (there,), (here,) = over_http.list_articles([product.pk]), InProcess().list_articles([product.pk])
    assert dict(there.card) == dict(here.card)
    assert there.card["rating_count"] == 0


def test_a_cart_of_more_lines_than_a_page_holds_is_asked_for_in_parts(over_http):
    products = [a_product(f"RUG-{number}").pk for number in range(30)]
    assert [article.id for article in over_http.list_articles(products)] == products


def test_the_setting_chooses(settings):
    settings.CATALOG_URL = ""
    assert isinstance(catalog(), InProcess)
    settings.CATALOG_URL = NOBODY_LISTENS
    assert isinstance(catalog(), OverHttp)


def test_what_is_no_answer_of_the_catalogs_is_none(over_http):
    with pytest.raises(CatalogAway):
        over_http._ask("/shop/", ANONYMOUS)


def test_pages_say_so_while_the_catalog_is_away_and_the_cart_stays(visit, settings):
    browser, product = visit("buyer"), a_product()
    stock_of(product, 5)
    browser.post(f"/cart/{product.pk}/add/", {"quantity": 2})
    settings.CATALOG_URL = NOBODY_LISTENS
    for answer in (
        browser.get("/cart/"),
        browser.get("/checkout/"),
        browser.post("/checkout/", ADDRESS),
        browser.post(f"/cart/{product.pk}/add/", {"quantity": 1}),
        browser.post(f"/cart/{product.pk}/", {"quantity": 1}),
    ):
        assert answer.status_code == 503
        assert "your cart is as it was" in answer.text
    assert not Order.objects.exists()
    settings.CATALOG_URL = ""
    [(line, _)] = browser.get("/cart/").context["rows"]
    assert line.quantity == 2


def test_an_empty_cart_asks_nothing(away, visit):
    assert visit("anonymous").get("/cart/").status_code == 200


def test_the_api_answers_503_while_the_catalog_is_away(away, ask):
    client = ask("buyer")
    client.raise_request_exception = False  # what answers 5xx is also reported to the test
    answer = client.put("/api/ordering/cart/1/", {"quantity": 1})
    assert answer.status_code == 503
    assert "your cart is as it was" in answer.content.decode()


def test_the_catalog_is_asked_before_the_transaction_begins(ask, monkeypatch):
    """Rows must not stay locked while another process is waited for."""
    from django.db import connection

    seen = []
    product = a_product()
    stock_of(product, 5)
    buyer = ask("buyer")
    buyer.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 1})
    inside = len(connection.savepoint_ids)
    ask_rows = InProcess.list_articles

    def noting(self, articles):
        seen.append(len(connection.savepoint_ids))
        return ask_rows(self, articles)

    monkeypatch.setattr(InProcess, "list_articles", noting)
    assert buyer.post("/api/ordering/orders/", {"address": ADDRESS}).status_code == 201
    assert seen == [inside]
